use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{delete, get, post},
};
use nsl_api::{
    Page,
    signin::SignedIn,
    wallet::{AskWallet, LoginWallet, UnlinkWallet, WalletChallenge, WalletClient, WalletInfo, WalletProof},
};
use nsl_edge::{Anyone, Caller, Class, Entry, Face, Path, Problem, Rule, Strict};
use utoipa::OpenApi;

const ANEW: &str = "ask for a new message, and have it signed and handed in within five minutes";
const AS_GIVEN: &str = "have the message signed as it was given";

const PROBLEMS: &[Entry] = &[
    Entry::new("wallet.address", 400, "the address has a wrong form", "write it as its chain does, with its checksum"),
    Entry::new(
        "wallet.domain_unknown",
        403,
        "wallets do not sign in from that domain",
        "have its origin added to identity.wallet.origins",
    ),
    Entry::new(
        "wallet.no_domain",
        503,
        "this server has no domain that wallets could sign in at",
        "have identity.public_url set",
    ),
    Entry::new(
        "wallet.network_unknown",
        400,
        "accounts of that network are not taken",
        "name one of `taken` in the details, or have it added to identity.wallet",
    ),
    Entry::new(
        "wallet.message",
        400,
        "the message has not the form of one to sign in",
        "hand it in byte for byte as it was signed: by EIP-4361, or its like for Neo N3",
    ),
    Entry::new(
        "wallet.address_other",
        401,
        "the message names another account than the request",
        "send the address that the message names",
    ),
    Entry::new("wallet.nonce_unknown", 401, "the nonce was never given, or long ago", ANEW),
    Entry::new("wallet.nonce_spent", 401, "the nonce was used already: a message signs in once", ANEW),
    Entry::new("wallet.nonce_other", 401, "the nonce was given to another account, or for something else", ANEW),
    Entry::new(
        "wallet.domain",
        401,
        "the message was signed for another domain",
        "sign in on the page that asked for the message; if that was not this one, somebody may be phishing",
    ),
    Entry::new("wallet.uri", 401, "the URI of the message is not on its domain", AS_GIVEN),
    Entry::new(
        "wallet.network",
        401,
        "the message was signed for another network",
        "switch the wallet's network, or name it when asking for the message",
    ),
    Entry::new("wallet.statement", 401, "the message does not say what it is for", AS_GIVEN),
    Entry::new("wallet.expired", 401, "the message has expired", ANEW),
    Entry::new(
        "wallet.not_yet",
        401,
        "the message holds from a later time on",
        "check the clock of whoever put the message together",
    ),
    Entry::new(
        "wallet.proof",
        400,
        "the request lacks what proves the account, or has too much",
        "send what the message of this problem names, and nothing beside",
    ),
    Entry::new(
        "wallet.signature_form",
        400,
        "a signature or a salt has a wrong form",
        "send what the wallet gave: 65 bytes in hex for Neo X, 64 bytes in hex or Base64 for Neo N3",
    ),
    Entry::new(
        "wallet.signature",
        401,
        "the signature is not one of the account for this message",
        "sign the message as it stands with the account's own key; contract wallets are not taken",
    ),
    Entry::new(
        "wallet.signature_twin",
        401,
        "the signature was changed after it was made",
        "send the signature as the wallet gave it",
    ),
    Entry::new("wallet.public_key_form", 400, "the public key has a wrong form", "send the key of secp256r1 in hex"),
    Entry::new(
        "wallet.public_key",
        401,
        "the public key is not one of the account",
        "send the key that the address is made of",
    ),
    Entry::new(
        "wallet.script",
        401,
        "the verification script is not that of the account, or asks for more than signatures",
        "send the script that the address is made of; contract accounts are not taken",
    ),
    Entry::new(
        "wallet.signatures",
        401,
        "there are not as many signatures of different keys as the account asks for",
        "send `needed` signatures, each of another key",
    ),
    Entry::new(
        "wallet.context",
        400,
        "the signing context has a wrong form",
        "send the context of the challenge with the signatures that the wallet added",
    ),
    Entry::new(
        "wallet.context_other",
        401,
        "the signing context is of another message, account or network",
        "send the context that came with this message",
    ),
    Entry::new(
        "wallet.linked_elsewhere",
        409,
        "the account is tied to another user",
        "sign in with it, and untie it there first",
    ),
    Entry::new("wallet.too_many", 429, "the user has as many wallets as a user may", "untie those no longer used"),
    Entry::new("wallet.missing", 404, "the user has no such wallet", "list the wallets to see their ids"),
    Entry::new(
        "signin.last_way",
        409,
        "nothing else would be left to sign in with",
        "add a passkey, a wallet or an identity of a provider first",
    ),
];

/// The public routes of wallets.
pub(crate) fn face(wallets: WalletClient) -> Face {
    let router = Router::new()
        .route("/v1/auth/wallet/challenge", post(wallet_challenge))
        .route("/v1/auth/wallet/login", post(wallet_login))
        .route("/v1/auth/wallets/challenge", post(wallet_link_challenge))
        .route("/v1/auth/wallets", get(list_wallets).post(link_wallet))
        .route("/v1/auth/wallets/{id}", delete(unlink_wallet))
        .with_state(wallets);
    Face::new("identity", router)
        .docs(Docs::openapi())
        .problems(PROBLEMS)
        .rule(Rule::at("/v1/auth/wallet/*").class(Class::Auth).open().body_bytes(64 * 1024))
        .rule(Rule::at("/v1/auth/wallets*").class(Class::Keys).body_bytes(64 * 1024))
}

#[derive(OpenApi)]
#[openapi(paths(wallet_challenge, wallet_login, wallet_link_challenge, link_wallet, list_wallets, unlink_wallet))]
struct Docs;

/// Ask for a message to sign in with a wallet
///
/// The account signs the message as it stands; it works once, for five minutes.
#[utoipa::path(post, path = "/v1/auth/wallet/challenge", tag = "identity", operation_id = "wallet_challenge",
    request_body = AskWallet, responses((status = 200, description = "What to sign", body = WalletChallenge)))]
async fn wallet_challenge(
    State(wallets): State<WalletClient>,
    Anyone(cx): Anyone,
    Strict(request): Strict<AskWallet>,
) -> Result<Json<WalletChallenge>, Problem> {
    Ok(Json(wallets.wallet_challenge(&cx, request).await?))
}

/// Sign in with a wallet
///
/// An account that nobody signed in with before makes a user and a tenant, where sign-up is open. Contract wallets
/// (EIP-1271) and contract accounts of Neo N3 are not taken.
#[utoipa::path(post, path = "/v1/auth/wallet/login", tag = "identity", operation_id = "wallet_login",
    request_body = LoginWallet, responses((status = 200, description = "Signed in", body = SignedIn)))]
async fn wallet_login(
    State(wallets): State<WalletClient>,
    Anyone(cx): Anyone,
    Strict(request): Strict<LoginWallet>,
) -> Result<Json<SignedIn>, Problem> {
    Ok(Json(wallets.wallet_login(&cx, request).await?))
}

/// Ask for a message to tie a wallet to oneself
///
/// For a signed-in person; one who has a second factor must have shown it in the last five minutes.
/// Without one, a sign-in of the last five minutes is needed (401
/// `signin.again`).
#[utoipa::path(post, path = "/v1/auth/wallets/challenge", tag = "identity", operation_id = "wallet_link_challenge",
    request_body = AskWallet, responses((status = 200, description = "What to sign", body = WalletChallenge)))]
async fn wallet_link_challenge(
    State(wallets): State<WalletClient>,
    Caller(cx): Caller,
    Strict(request): Strict<AskWallet>,
) -> Result<Json<WalletChallenge>, Problem> {
    Ok(Json(wallets.wallet_link_challenge(&cx, request).await?))
}

/// Tie a wallet to oneself
///
/// From then on its account signs in as the caller.
#[utoipa::path(post, path = "/v1/auth/wallets", tag = "identity", operation_id = "link_wallet",
    request_body = WalletProof, responses((status = 201, description = "The wallet", body = WalletInfo)))]
async fn link_wallet(
    State(wallets): State<WalletClient>,
    Caller(cx): Caller,
    Strict(request): Strict<WalletProof>,
) -> Result<(StatusCode, Json<WalletInfo>), Problem> {
    Ok((StatusCode::CREATED, Json(wallets.link_wallet(&cx, request).await?)))
}

/// List one's wallets
#[utoipa::path(get, path = "/v1/auth/wallets", tag = "identity", operation_id = "list_wallets",
    responses((status = 200, description = "All of them, oldest first", body = Page<WalletInfo>)))]
async fn list_wallets(
    State(wallets): State<WalletClient>,
    Caller(cx): Caller,
) -> Result<Json<Page<WalletInfo>>, Problem> {
    Ok(Json(wallets.list_wallets(&cx, ()).await?))
}

/// Untie a wallet
///
/// Refused when nothing else would be left to sign in with. One who has a second factor must have shown it in the
/// last five minutes. Without one, a sign-in of the last five minutes is needed (401
/// `signin.again`).
#[utoipa::path(delete, path = "/v1/auth/wallets/{id}", tag = "identity", operation_id = "unlink_wallet",
    params(("id" = String, Path, description = "`wal_...`")),
    responses((status = 200, description = "The wallet as it was", body = WalletInfo)))]
async fn unlink_wallet(
    State(wallets): State<WalletClient>,
    Caller(cx): Caller,
    Path(id): Path<String>,
) -> Result<Json<WalletInfo>, Problem> {
    Ok(Json(wallets.unlink_wallet(&cx, UnlinkWallet { id }).await?))
}
