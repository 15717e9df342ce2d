//! Who gets a further way to sign in, or loses one: a person who is there, and nobody with a token of theirs.

use std::time::Duration;

use futures_util::future::join_all;
use nsl_api::{
    Chain, Revealed,
    federation::{BeginAt, BeginOidc, Unlink},
    oauth::{AnswerDevice, AuthorizeDevice, ClientProof, Grant, GrantTokens},
    passkey::{BeginPasskey, RemovePasskey},
    people::OpenTenant,
    sessions::TokenReply,
    signin::{EnrolTotp, Nothing},
    wallet::{AskWallet, LoginWallet, UnlinkWallet, WalletProof},
};
use nsl_core::{Clock, Cx, Result, Timestamp};
use nsl_sql::{Single, Tx, args};
use serde_json::{Value, json};

use crate::{
    ground::{Ground, each},
    signin::{PASSWORD, from, login, person, register, slug, tokens},
    wallets::key,
};

const HOME: &str = "192.0.2.1";

fn ask(number: u8) -> AskWallet {
    AskWallet { chain: Chain::NeoN3, address: key(number).public().address(), domain: None, network: None }
}

async fn by_wallet(ground: &Ground, number: u8) -> TokenReply {
    let given = ground.all.wallet.wallet_challenge(&from(HOME), ask(number)).await.unwrap();
    let proof = WalletProof {
        chain: Chain::NeoN3,
        address: key(number).public().address(),
        signature: Some(hex::encode(key(number).sign(given.message.as_bytes()))),
        message: given.message,
        public_key: Some(key(number).public().to_string()),
        salt: None,
        verification_script: None,
        signatures: Vec::new(),
        context: None,
    };
    let login = LoginWallet { proof, tenant: None, invite: None, tenant_name: None };
    tokens(ground.all.wallet.wallet_login(&from(HOME), login).await.unwrap())
}

/// Begins to link an identity of a provider that is not there.
async fn link_elsewhere(ground: &Ground, cx: &Cx) -> String {
    let begin: BeginOidc = serde_json::from_value(json!({ "link": true })).unwrap();
    slug(ground.all.federation.begin_oidc(cx, BeginAt { provider: "none".to_owned(), begin }).await)
}

/// What each way to get or lose a way to sign in answers.
async fn doings(ground: &Ground, cx: &Cx) -> [String; 5] {
    let all = &ground.all;
    [
        slug(all.passkey.begin_passkey(cx, BeginPasskey {}).await),
        slug(all.wallet.wallet_link_challenge(cx, ask(9)).await),
        slug(all.wallet.unlink_wallet(cx, UnlinkWallet { id: "wal_none".to_owned() }).await),
        link_elsewhere(ground, cx).await,
        slug(all.federation.unlink(cx, Unlink { id: "fed_none".to_owned() }).await),
    ]
}

const DONE: [&str; 5] = ["fine", "fine", "wallet.missing", "federation.provider_missing", "federation.link_missing"];

/// One line of SQL about a user.
struct Line {
    sql: &'static str,
    user: String,
    value: Value,
    at: Timestamp,
}

impl Single for Line {
    type Done = ();

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<()>> {
        tx.execute(self.sql, args![self.user.clone(), &self.value, self.at, false]).await?;
        Ok(Ok(()))
    }
}

/// The person gets a passkey, whose key nobody has.
async fn give_passkey(ground: &Ground, cx: &Cx) {
    let sql = "INSERT INTO passkeys (tenant_id, id, user_id, handle, credential_id, credential, sign_count, backed_up,
            name, created_at)
        VALUES ('platform', 'pky_1', $1, '2f6a3a5e-3c53-4e6e-9c59-3f6d0d1b6f01', 'AAAA', $2, 0, $4, 'mine', $3)";
    let point = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let value = json!({ "cred": {
        "cred_id": "AAAA",
        "cred": { "type_": "ES256", "key": { "EC_EC2": { "curve": "SECP256R1", "x": point, "y": point } } },
        "counter": 0, "transports": null, "user_verified": true, "backup_eligible": false, "backup_state": false,
        "registration_policy": "required", "extensions": {},
        "attestation": { "data": "None", "metadata": "None" }, "attestation_format": "none",
    } });
    let user = cx.principal.subject.as_str().to_owned();
    ground.db.write_platform(Line { sql, user, value, at: ground.clock.now() }).await.unwrap();
}

/// The person gets an identity at a provider.
async fn give_identity(ground: &Ground, cx: &Cx) {
    let sql = "INSERT INTO federated (tenant_id, id, issuer, subject, user_id, created_at)
        SELECT 'platform', 'fed_1', 'https://corp.example', 'ann', $1, $3
        WHERE $1 = $1 OR CAST($2 AS text) = '' OR $4";
    let user = cx.principal.subject.as_str().to_owned();
    ground.db.write_platform(Line { sql, user, value: json!({}), at: ground.clock.now() }).await.unwrap();
}

/// A session that a device got by the person's word.
async fn of_device(ground: &Ground, cx: &Cx, scope: Option<&str>) -> Cx {
    let oauth = &ground.all.oauth;
    let client = || ClientProof { id: "nsl-cli".to_owned(), secret: None };
    let begin = AuthorizeDevice { client: client(), scope: scope.map(str::to_owned) };
    let codes = oauth.authorize_device(&from(HOME), begin).await.unwrap();
    let answer = AnswerDevice { user_code: codes.user_code, approve: true, tenant: None };
    oauth.answer_device(cx, answer).await.unwrap();
    let grant = Grant::DeviceCode { device_code: codes.device_code };
    let request = GrantTokens { grant, client: Some(client()), scope: None, proof: None };
    person(&oauth.grant_tokens(&from(HOME), request).await.unwrap(), HOME)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_signed_in_just_now_gets_further_ways_and_a_token_of_before_does_not() {
    each(async |ground: Ground| {
        let ann = register(&ground, "ann@example.com", HOME).await;
        let ann = person(&ann, HOME);
        assert_eq!(doings(&ground, &ann).await, DONE);
        let device = of_device(&ground, &ann, None).await;
        assert!(device.principal.whole);
        assert_eq!(doings(&ground, &device).await, ["signin.again"; 5], "a device is not where the person is");
        ground.clock.advance(Duration::from_secs(301));
        assert_eq!(doings(&ground, &ann).await, ["signin.again"; 5]);
        let again = person(&tokens(login(&ground, "ann@example.com", PASSWORD, HOME).await.unwrap()), HOME);
        assert_eq!(doings(&ground, &again).await, DONE);

        // Who has a passkey shows it, without an authenticator app too.
        give_passkey(&ground, &ann).await;
        assert_eq!(doings(&ground, &again).await, ["auth.step_up"; 5]);
        let mut shown = again.clone();
        shown.principal.second_factor_at = Some(ground.clock.now());
        assert_eq!(doings(&ground, &shown).await, DONE);

        // Nor does a device stand for a person who has nothing but a wallet.
        let bob = person(&by_wallet(&ground, 1).await, HOME);
        let device = of_device(&ground, &bob, None).await;
        let enrol = EnrolTotp { password: None };
        assert_eq!(slug(ground.all.signin.enrol_totp(&device, enrol).await), "signin.again");
        assert_eq!(slug(ground.all.signin.enrol_totp(&bob, EnrolTotp { password: None }).await), "fine");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_was_let_in_for_less_is_not_the_person() {
    each(async |ground: Ground| {
        let ann = person(&register(&ground, "ann@example.com", HOME).await, HOME);
        let program = of_device(&ground, &ann, Some("storage:read")).await;
        assert!(!program.principal.whole);
        assert_eq!(doings(&ground, &program).await, ["auth.person_needed"; 5]);
        let all = &ground.all;
        let enrol = EnrolTotp { password: Some(Revealed(PASSWORD.to_owned())) };
        assert_eq!(slug(all.signin.enrol_totp(&program, enrol).await), "auth.person_needed");
        assert_eq!(slug(all.signin.list_factors(&program, Nothing {}).await), "auth.person_needed");
        assert_eq!(slug(all.passkey.list_passkeys(&program, ()).await), "auth.person_needed");
        assert_eq!(slug(all.wallet.list_wallets(&program, ()).await), "auth.person_needed");
        assert_eq!(slug(all.federation.list_federated(&program, ()).await), "auth.person_needed");
        let open = || serde_json::from_value::<OpenTenant>(json!({ "name": "theirs" })).unwrap();
        assert_eq!(slug(all.people.open_tenant(&program, open()).await), "auth.person_needed");
        assert_eq!(slug(all.people.open_tenant(&ann, open()).await), "fine");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_way_to_sign_in_stays_whatever_it_is() {
    each(async |ground: Ground| {
        let all = &ground.all;
        let mut ann = person(&by_wallet(&ground, 1).await, HOME);
        ann.principal.second_factor_at = Some(ground.clock.now());
        give_passkey(&ground, &ann).await;
        give_identity(&ground, &ann).await;
        let wallet = all.wallet.list_wallets(&ann, ()).await.unwrap().items.remove(0).id;
        all.wallet.unlink_wallet(&ann, UnlinkWallet { id: wallet }).await.unwrap();
        let passkey = || RemovePasskey { id: "pky_1".to_owned() };
        let identity = || Unlink { id: "fed_1".to_owned() };
        let (one, other) =
            tokio::join!(all.passkey.remove_passkey(&ann, passkey()), all.federation.unlink(&ann, identity()));
        let mut said = [slug(one), slug(other)];
        said.sort();
        assert_eq!(said, ["fine", "signin.last_way"], "one of two is taken, and the last one never");
        let again = [
            slug(all.passkey.remove_passkey(&ann, passkey()).await),
            slug(all.federation.unlink(&ann, identity()).await),
        ];
        assert!(again.contains(&"signin.last_way".to_owned()), "{again:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_try_one_account_at_once_take_no_place_from_others() {
    each(async |ground: Ground| {
        register(&ground, "ann@example.com", HOME).await;
        register(&ground, "bob@example.com", HOME).await;
        let tries = join_all((0..200).map(|_| login(&ground, "ann@example.com", "a wrong password", "203.0.113.9")));
        let others = async {
            let mut said = Vec::new();
            for _ in 0..5 {
                said.push(slug(login(&ground, "bob@example.com", PASSWORD, HOME).await));
            }
            said
        };
        let (tries, others) = tokio::join!(tries, others);
        let said: Vec<_> = tries.into_iter().map(slug).collect();
        assert!(said.iter().all(|slug| slug == "signin.wrong" || slug == "signin.locked"), "{said:?}");
        assert_eq!(others, ["fine"; 5]);
    })
    .await;
}
