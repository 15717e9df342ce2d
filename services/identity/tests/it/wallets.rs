//! Wallets, with accounts of Neo N3 that sign as they are told. What real wallets sign is compared elsewhere.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use neo::PrivateKey;
use nsl_api::{
    Chain, Revealed,
    sessions::TokenReply,
    signin::{ConfirmTotp, EnrolTotp, ShowMfa, SignedIn},
    wallet::{AskWallet, LoginWallet, UnlinkWallet, WalletChallenge, WalletClient, WalletProof},
};
use nsl_core::{Clock, Code, Cx, Once, PrincipalKind, Result, TenantId};
use nsl_signin::{
    totp::Seed,
    wallet::{Kind, Message},
};
use nsl_sql::{Scope, args};

use crate::{
    ground::{Ground, each, lasting},
    signin::{PASSWORD, claims, events, from, person, register, slug, tokens},
};

const HOME: &str = "192.0.2.1";

pub(crate) fn key(number: u8) -> PrivateKey {
    PrivateKey::from_bytes(&[number; 32]).unwrap()
}

fn ask_of(key: &PrivateKey) -> AskWallet {
    AskWallet { chain: Chain::NeoN3, address: key.public().address(), domain: None, network: None }
}

/// The message as neon-js signs it: as it is.
fn signed(key: &PrivateKey, message: &str) -> WalletProof {
    WalletProof {
        chain: Chain::NeoN3,
        address: key.public().address(),
        message: message.to_owned(),
        signature: Some(hex::encode(key.sign(message.as_bytes()))),
        public_key: Some(key.public().to_string()),
        salt: None,
        verification_script: None,
        signatures: Vec::new(),
        context: None,
    }
}

fn login_of(proof: WalletProof) -> LoginWallet {
    LoginWallet { proof, tenant: None, invite: None, tenant_name: None }
}

async fn challenge(wallets: &WalletClient, key: &PrivateKey, address: &str) -> WalletChallenge {
    wallets.wallet_challenge(&from(address), ask_of(key)).await.unwrap()
}

async fn enter(wallets: &WalletClient, key: &PrivateKey) -> TokenReply {
    let given = challenge(wallets, key, HOME).await;
    tokens(wallets.wallet_login(&from(HOME), login_of(signed(key, &given.message))).await.unwrap())
}

async fn link(wallets: &WalletClient, cx: &Cx, key: &PrivateKey) -> Result<nsl_api::wallet::WalletInfo> {
    let given = wallets.wallet_link_challenge(cx, ask_of(key)).await?;
    wallets.link_wallet(cx, signed(key, &given.message)).await
}

/// Sets an authenticator app up.
async fn second_factor(ground: &Ground, cx: &Cx) -> Seed {
    let enrol = EnrolTotp { password: Some(Revealed(PASSWORD.to_owned())) };
    let begun = ground.all.signin.enrol_totp(cx, enrol).await.unwrap();
    let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bits: String = begun.secret.0.chars().map(|c| format!("{:05b}", letters.find(c).unwrap())).collect();
    let seed = (0..20).map(|at| u8::from_str_radix(&bits[at * 8..at * 8 + 8], 2).unwrap()).collect();
    let seed = Seed::read(seed).unwrap();
    let code = Revealed(seed.code(ground.clock.now()).unwrap());
    ground.all.signin.confirm_totp(cx, ConfirmTotp { code }).await.unwrap();
    // The code that confirmed is spent.
    ground.clock.advance(Duration::from_secs(30));
    seed
}

async fn count(ground: &Ground, sql: &'static str) -> i64 {
    ground.db.query(Scope::Platform, sql, args![]).await.unwrap()[0].take(0).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_account_makes_a_user_and_a_tenant_and_is_known_from_then_on() {
    each(async |ground: Ground| {
        let wallets = &ground.all.wallet;
        let first = enter(wallets, &key(1)).await;
        ground.clock.advance(Duration::from_secs(60));
        let again = enter(wallets, &key(1)).await;
        assert_eq!((&first.tenant, &claims(&first)["sub"]), (&again.tenant, &claims(&again)["sub"]));
        assert_eq!((claims(&first)["amr"].clone(), first.scope.as_str()), (serde_json::json!(["swk"]), "*"));
        let other = enter(wallets, &key(2)).await;
        assert_ne!(first.tenant, other.tenant);
        let mine = wallets.list_wallets(&person(&first, HOME), ()).await.unwrap().items;
        assert_eq!(mine.len(), 1);
        assert_eq!((mine[0].chain, mine[0].address.clone()), (Chain::NeoN3, key(1).public().address()));
        assert_eq!(mine[0].last_used_at, Some(ground.clock.now()));
        assert_eq!(
            (count(&ground, "SELECT count(*) FROM users").await, count(&ground, "SELECT count(*) FROM wallets").await),
            (2, 2)
        );
        // Who the account is of is said to nobody who reads the trail without the key of the person.
        let trail = "SELECT count(*) FROM audit_logs WHERE CAST(request_data AS text) LIKE '%' || $1 || '%'";
        let found = ground.db.query(Scope::Platform, trail, args![key(1).public().address()]).await;
        assert_eq!(found.unwrap()[0].take::<i64>(0).unwrap(), 0);
        assert!(events(&ground, "signin.").await.contains(&"signin.registered".to_owned()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_works_once_however_many_show_it_at_once() {
    each(async |ground: Ground| {
        let beside = if ground.is_shared() { ground.all_beside().await.wallet } else { ground.all.wallet.clone() };
        for number in 1..=3 {
            let given = challenge(&ground.all.wallet, &key(number), HOME).await;
            let tries = (0..100).map(|at| {
                let wallets = if at % 2 == 0 { &ground.all.wallet } else { &beside };
                let proof = signed(&key(number), &given.message);
                async move { wallets.wallet_login(&from(HOME), login_of(proof)).await }
            });
            let done = join_all(tries).await;
            assert_eq!(done.iter().filter(|done| done.is_ok()).count(), 1);
            let refused: Vec<_> = done.into_iter().filter_map(Result::err).collect();
            assert!(refused.iter().all(|error| error.slug == "wallet.nonce_spent"), "{refused:?}");
            assert!(refused.iter().all(|error| error.code == Code::Unauthenticated));
        }
        assert_eq!(count(&ground, "SELECT count(*) FROM users").await, 3);
        assert_eq!(count(&ground, "SELECT count(*) FROM tenants").await, 3);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_comes_many_times_at_once_is_one_user() {
    each(async |ground: Ground| {
        let beside = if ground.is_shared() { ground.all_beside().await.wallet } else { ground.all.wallet.clone() };
        let me = key(1);
        let given = join_all((0..10).map(|_| challenge(&ground.all.wallet, &me, HOME))).await;
        let entered = given.iter().enumerate().map(|(at, given)| {
            let wallets = if at % 2 == 0 { &ground.all.wallet } else { &beside };
            let login = login_of(signed(&key(1), &given.message));
            async move { tokens(wallets.wallet_login(&from(HOME), login).await.unwrap()) }
        });
        let entered = join_all(entered).await;
        assert!(entered.iter().all(|one| claims(one)["sub"] == claims(&entered[0])["sub"]));
        for sql in ["SELECT count(*) FROM users", "SELECT count(*) FROM tenants", "SELECT count(*) FROM wallets"] {
            assert_eq!(count(&ground, sql).await, 1, "{sql}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_says_something_else_than_it_was_given_for_is_refused() {
    each(async |ground: Ground| {
        let wallets = &ground.all.wallet;
        let given = challenge(wallets, &key(1), HOME).await;
        let read = Message::parse(Kind::NeoN3, &given.message).unwrap();
        let others = challenge(wallets, &key(2), HOME).await;
        let refused = async |change: &dyn Fn(&mut Message)| {
            let mut message = read.clone();
            change(&mut message);
            slug(wallets.wallet_login(&from(HOME), login_of(signed(&key(1), &message.write().unwrap()))).await)
        };
        assert_eq!(refused(&|message| message.domain = "evil.example".to_owned()).await, "wallet.domain");
        assert_eq!(refused(&|message| message.uri = "http://evil.example/".to_owned()).await, "wallet.uri");
        assert_eq!(refused(&|message| message.network = 894_710_606).await, "wallet.network");
        assert_eq!(refused(&|message| message.network = 1).await, "wallet.network");
        assert_eq!(refused(&|message| message.nonce = "0".repeat(32)).await, "wallet.nonce_unknown");
        assert_eq!(refused(&|message| message.nonce = others.nonce.clone()).await, "wallet.nonce_other");
        assert_eq!(refused(&|message| message.address = key(2).public().address()).await, "wallet.address_other");
        let past = ground.clock.now();
        assert_eq!(refused(&|message| message.expiration = Some(past.into())).await, "wallet.expired");
        let later = past.plus(Duration::from_secs(3_600));
        assert_eq!(refused(&|message| message.not_before = Some(later.into())).await, "wallet.not_yet");
        assert_eq!(refused(&|message| message.issued_at = later.into()).await, "wallet.not_yet");

        let refused = async |change: &dyn Fn(&mut WalletProof)| {
            let mut proof = signed(&key(1), &given.message);
            change(&mut proof);
            slug(wallets.wallet_login(&from(HOME), login_of(proof)).await)
        };
        assert_eq!(refused(&|proof| proof.address = key(2).public().address()).await, "wallet.address_other");
        assert_eq!(refused(&|proof| proof.address = "N".to_owned()).await, "wallet.address");
        assert_eq!(refused(&|proof| proof.chain = Chain::NeoX).await, "wallet.message");
        assert_eq!(refused(&|proof| proof.message.push('\n')).await, "wallet.message");
        assert_eq!(
            refused(&|proof| proof.message = proof.message.replace("moves nothing", "moves all")).await,
            "wallet.signature"
        );
        assert_eq!(refused(&|proof| proof.public_key = Some(key(2).public().to_string())).await, "wallet.public_key");
        assert_eq!(refused(&|proof| proof.public_key = None).await, "wallet.proof");
        assert_eq!(refused(&|proof| proof.signature = None).await, "wallet.proof");
        assert_eq!(refused(&|proof| proof.verification_script = Some("11".to_owned())).await, "wallet.proof");
        assert_eq!(refused(&|proof| proof.salt = Some("0".repeat(32))).await, "wallet.signature");
        assert_eq!(refused(&|proof| proof.signature = Some("00".repeat(64))).await, "wallet.signature");
        assert_eq!(refused(&|proof| proof.signature = Some("00".repeat(63))).await, "wallet.signature_form");
        let context = given.context.clone();
        assert_eq!(
            refused(&|proof| {
                (proof.signature, proof.public_key, proof.context) = (None, None, context.clone());
            })
            .await,
            "wallet.signatures"
        );
        // None of this spent the nonce, or made anybody.
        assert_eq!(count(&ground, "SELECT count(*) FROM users").await, 0);
        assert_eq!(refused(&|_| ()).await, "fine");
        assert_eq!(refused(&|_| ()).await, "wallet.nonce_spent");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_good_for_five_minutes_in_any_process() {
    each(async |ground: Ground| {
        let beside = if ground.is_shared() { ground.all_beside().await.wallet } else { ground.all.wallet.clone() };
        let in_time = challenge(&ground.all.wallet, &key(1), HOME).await;
        ground.clock.advance(Duration::from_secs(299));
        let late = challenge(&ground.all.wallet, &key(1), HOME).await;
        assert!(beside.wallet_login(&from(HOME), login_of(signed(&key(1), &in_time.message))).await.is_ok());
        ground.clock.advance(Duration::from_secs(300));
        let refused = beside.wallet_login(&from(HOME), login_of(signed(&key(1), &late.message))).await;
        assert_eq!(slug(refused), "wallet.expired");
        // By and by they are forgotten, and are refused all the same.
        ground.clock.advance(Duration::from_secs(601));
        challenge(&ground.all.wallet, &key(2), HOME).await;
        assert_eq!(count(&ground, "SELECT count(*) FROM wallet_challenges").await, 1);
        for old in [in_time, late] {
            let refused = beside.wallet_login(&from(HOME), login_of(signed(&key(1), &old.message))).await;
            assert_eq!(slug(refused), "wallet.nonce_unknown");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_too_much_pushes_out_nobody_elsewhere() {
    each(async |ground: Ground| {
        let wallets = &ground.all.wallet;
        let owners = challenge(wallets, &key(1), HOME).await;
        let mut theirs = Vec::new();
        for _ in 0..30 {
            theirs.push(challenge(wallets, &key(1), "203.0.113.7").await);
            ground.clock.advance(Duration::from_millis(10));
        }
        assert_eq!(count(&ground, "SELECT count(*) FROM wallet_challenges").await, 11);
        assert!(wallets.wallet_login(&from(HOME), login_of(signed(&key(1), &owners.message))).await.is_ok());
        let oldest = wallets.wallet_login(&from(HOME), login_of(signed(&key(1), &theirs[0].message))).await;
        assert_eq!(slug(oldest), "wallet.nonce_unknown");
        let newest = wallets.wallet_login(&from(HOME), login_of(signed(&key(1), &theirs[29].message))).await;
        assert!(newest.is_ok());
        // Where it was asked from is kept under a key alone.
        assert_eq!(count(&ground, "SELECT count(*) FROM wallet_challenges WHERE network LIKE '%.%'").await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_is_what_is_taken_here() {
    each(async |ground: Ground| {
        let ask = async |change: &dyn Fn(&mut AskWallet)| {
            let mut ask = ask_of(&key(1));
            change(&mut ask);
            slug(ground.all.wallet.wallet_challenge(&from(HOME), ask).await)
        };
        assert_eq!(ask(&|ask| ask.domain = Some("localhost:3000".to_owned())).await, "fine");
        assert_eq!(ask(&|ask| ask.domain = Some("evil.example".to_owned())).await, "wallet.domain_unknown");
        assert_eq!(ask(&|ask| ask.network = Some(894_710_606)).await, "fine");
        assert_eq!(ask(&|ask| ask.network = Some(47_763)).await, "wallet.network_unknown");
        assert_eq!(ask(&|ask| ask.chain = Chain::NeoX).await, "wallet.address");
        assert_eq!(ask(&|ask| ask.address.push('x')).await, "wallet.address");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_gives_no_tokens_again_and_none_are_kept() {
    each(async |ground: Ground| {
        let given = challenge(&ground.all.wallet, &key(1), HOME).await;
        let cx = Cx { once: Some(Once { key: "once".into(), fingerprint: "f".into() }), ..from(HOME) };
        let login = login_of(signed(&key(1), &given.message));
        let first = tokens(ground.all.wallet.wallet_login(&cx, login.clone()).await.unwrap());
        assert_eq!(slug(ground.all.wallet.wallet_login(&cx, login).await), "wallet.nonce_spent");
        let kept = ground.db.query(Scope::Platform, "SELECT outcome FROM idempotency", args![]).await.unwrap();
        for mut row in kept {
            let outcome = row.take::<Option<String>>(0).unwrap().unwrap_or_default();
            assert!(!outcome.contains(&first.access_token.0) && !outcome.contains("nsr_"), "{outcome}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_tied_to_who_is_signed_in_and_to_nobody_else() {
    each(async |ground: Ground| {
        let wallets = &ground.all.wallet;
        let alice = person(&register(&ground, "alice@example.com", HOME).await, HOME);
        let tied = link(wallets, &alice, &key(1)).await.unwrap();
        assert_eq!(link(wallets, &alice, &key(1)).await.unwrap().id, tied.id, "tying it again changes nothing");
        let by_wallet = enter(wallets, &key(1)).await;
        assert_eq!(claims(&by_wallet)["sub"].as_str(), Some(alice.principal.subject.as_str()));

        // A message for one purpose, or one person, does nothing for another.
        let mallory = person(&register(&ground, "mallory@example.com", HOME).await, HOME);
        let login = challenge(wallets, &key(2), HOME).await;
        assert_eq!(slug(wallets.link_wallet(&mallory, signed(&key(2), &login.message)).await), "wallet.nonce_other");
        let linking = wallets.wallet_link_challenge(&alice, ask_of(&key(2))).await.unwrap();
        let proof = signed(&key(2), &linking.message);
        assert_eq!(slug(wallets.link_wallet(&mallory, proof.clone()).await), "wallet.nonce_other");
        assert_eq!(slug(wallets.wallet_login(&from(HOME), login_of(proof.clone())).await), "wallet.nonce_other");
        let hidden = proof.message.replace("Let this account sign in as", "Win a prize as");
        assert_eq!(slug(wallets.link_wallet(&alice, signed(&key(2), &hidden)).await), "wallet.statement");
        assert!(wallets.link_wallet(&alice, proof.clone()).await.is_ok());
        assert_eq!(slug(wallets.link_wallet(&alice, proof).await), "wallet.nonce_spent");
        let taken = link(wallets, &mallory, &key(1)).await.unwrap_err();
        assert_eq!((taken.code, &*taken.slug), (Code::Conflict, "wallet.linked_elsewhere"));

        // Nobody sees or unties another's.
        assert!(wallets.list_wallets(&mallory, ()).await.unwrap().items.is_empty());
        let theirs = wallets.unlink_wallet(&mallory, UnlinkWallet { id: tied.id.clone() }).await;
        assert_eq!(slug(theirs), "wallet.missing");
        wallets.unlink_wallet(&alice, UnlinkWallet { id: tied.id.clone() }).await.unwrap();
        assert_eq!(slug(wallets.unlink_wallet(&alice, UnlinkWallet { id: tied.id }).await), "wallet.missing");
        // Untied, the account is a stranger's.
        let stranger = enter(wallets, &key(1)).await;
        assert_ne!(claims(&stranger)["sub"].as_str(), Some(alice.principal.subject.as_str()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_way_to_sign_in_stays() {
    each(async |ground: Ground| {
        let beside = if ground.is_shared() { ground.all_beside().await.wallet } else { ground.all.wallet.clone() };
        let wallets = &ground.all.wallet;
        let me = person(&enter(wallets, &key(1)).await, HOME);
        let only = wallets.list_wallets(&me, ()).await.unwrap().items.remove(0).id;
        let refused = wallets.unlink_wallet(&me, UnlinkWallet { id: only.clone() }).await.unwrap_err();
        assert_eq!((refused.code, &*refused.slug), (Code::Conflict, "signin.last_way"));
        for round in 0..5 {
            let second = link(wallets, &me, &key(50 + round)).await.unwrap().id;
            let both = [(wallets, &only), (&beside, &second)];
            let me = &me;
            let gone = both
                .map(|(wallets, id)| async move { wallets.unlink_wallet(me, UnlinkWallet { id: id.clone() }).await });
            let gone = join_all(gone).await;
            assert_eq!(gone.iter().filter(|gone| gone.is_ok()).count(), 1, "{gone:?}");
            assert_eq!(wallets.list_wallets(me, ()).await.unwrap().items.len(), 1);
            if gone[0].is_ok() {
                link(wallets, me, &key(1)).await.unwrap();
                wallets.unlink_wallet(me, UnlinkWallet { id: second }).await.unwrap();
            }
            let now = wallets.list_wallets(me, ()).await.unwrap().items.remove(0).id;
            if now != only {
                return;
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_person_ties_wallets() {
    each(async |ground: Ground| {
        let signed_in = person(&enter(&ground.all.wallet, &key(1)).await, HOME);
        let key_of_api = ground.as_key(&ground.tenant().await.key).await;
        let mut lent = signed_in.clone();
        lent.principal.actor = Some(nsl_core::Subject::parse("usr_other").unwrap());
        let mut client = signed_in.clone();
        client.principal.session = None;
        let nobody = lasting(from(HOME));
        assert_eq!(nobody.principal.kind, PrincipalKind::Anonymous);
        let needed = "auth.person_needed";
        for (cx, why) in [(key_of_api, needed), (lent, needed), (client, needed), (nobody, "auth.missing")] {
            assert_eq!(slug(link(&ground.all.wallet, &cx, &key(2)).await), why);
            assert_eq!(slug(ground.all.wallet.list_wallets(&cx, ()).await), why);
            let request = UnlinkWallet { id: "wal_1".to_owned() };
            assert_eq!(slug(ground.all.wallet.unlink_wallet(&cx, request).await), why);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_factor_is_asked_for_where_there_is_one() {
    each(async |ground: Ground| {
        let wallets = &ground.all.wallet;
        let mut fresh = person(&register(&ground, "alice@example.com", HOME).await, HOME);
        let seed = second_factor(&ground, &fresh).await;
        fresh.principal.second_factor_at = Some(ground.clock.now());
        let tied = link(wallets, &fresh, &key(1)).await.unwrap();
        let waiting = wallets.wallet_link_challenge(&fresh, ask_of(&key(2))).await.unwrap();
        ground.clock.advance(Duration::from_secs(301));
        let late = wallets.wallet_link_challenge(&fresh, ask_of(&key(2))).await;
        assert_eq!(slug(late), "auth.step_up");
        assert_eq!(slug(wallets.link_wallet(&fresh, signed(&key(2), &waiting.message)).await), "auth.step_up");
        assert_eq!(slug(wallets.unlink_wallet(&fresh, UnlinkWallet { id: tied.id }).await), "auth.step_up");
        // A wallet is one factor: the other one is asked for before there are tokens.
        let given = challenge(wallets, &key(1), HOME).await;
        let entered = wallets.wallet_login(&from(HOME), login_of(signed(&key(1), &given.message))).await.unwrap();
        let SignedIn::SecondFactor(asked) = entered else { panic!("let in by a wallet alone") };
        let code = Some(Revealed(seed.code(ground.clock.now()).unwrap()));
        let show = ShowMfa { mfa_token: asked.mfa_token, code, recovery_code: None };
        let done = ground.all.signin.show_mfa(&from(HOME), show).await.unwrap();
        assert_eq!(claims(&done)["amr"], serde_json::json!(["swk", "otp", "mfa"]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_has_only_so_many_wallets() {
    each(async |ground: Ground| {
        let me = Arc::new(person(&register(&ground, "alice@example.com", HOME).await, HOME));
        let tied = join_all((1..=24).map(|number| {
            let (wallets, me) = (ground.all.wallet.clone(), Arc::clone(&me));
            async move { link(&wallets, &me, &key(number)).await }
        }))
        .await;
        assert_eq!(tied.iter().filter(|tied| tied.is_ok()).count(), 20);
        assert!(tied.into_iter().filter_map(Result::err).all(|error| error.slug == "wallet.too_many"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_lets_into_the_tenants_of_its_user_alone() {
    each(async |ground: Ground| {
        let wallets = &ground.all.wallet;
        let (mine, other) = (enter(wallets, &key(1)).await, enter(wallets, &key(2)).await);
        let into = async |tenant: &TenantId| {
            let given = challenge(wallets, &key(1), HOME).await;
            let login = LoginWallet { tenant: Some(tenant.clone()), ..login_of(signed(&key(1), &given.message)) };
            wallets.wallet_login(&from(HOME), login).await
        };
        assert_eq!(tokens(into(&mine.tenant).await.unwrap()).tenant, mine.tenant);
        assert_eq!(into(&other.tenant).await.unwrap_err().code, Code::Forbidden);
        assert_eq!(into(&TenantId::parse("platform").unwrap()).await.unwrap_err().code, Code::Forbidden);
    })
    .await;
}
