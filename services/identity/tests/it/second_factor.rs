//! One-time codes, recovery codes, and the tokens of sign-ins that await them.

use std::time::Duration;

use nsl_api::{
    Revealed,
    federation::PutProviderAt,
    identity::RotateKey,
    oauth::{AnswerDevice, AuthorizeDevice, ClientGrant, ClientProof, RotateSecret},
    people::{CreateRole, InviteUser, SetMember},
    privacy::{DataKind, OpenDataRequest},
    sessions::TokenReply,
    signin::{ConfirmTotp, EnrolTotp, Factor, Nothing, RecoveryCodes, SecondFactor, ShowMfa, SignedIn, StepUp},
};
use nsl_core::{Clock, Code, Cx};
use nsl_signin::totp::Seed;

use crate::{
    ground::{Ground, each, lasting, new_key},
    oauth::client_of,
    people::joins,
    signin::{PASSWORD, claims, events, from, login, person, register, slug},
};

pub(crate) const HOME: &str = "192.0.2.1";

/// What an authenticator app does with what it was given.
fn app(secret: &Revealed) -> Seed {
    let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bits: String = secret.0.chars().map(|c| format!("{:05b}", letters.find(c).unwrap())).collect();
    let bytes = (0..20).map(|at| u8::from_str_radix(&bits[at * 8..at * 8 + 8], 2).unwrap());
    Seed::read(bytes.collect()).unwrap()
}

pub(crate) struct Alice {
    email: String,
    cx: Cx,
    seed: Seed,
    pub(crate) codes: Vec<Revealed>,
}

impl Alice {
    async fn new(ground: &Ground) -> Self {
        Self::at(ground, "alice@example.com").await
    }

    pub(crate) async fn at(ground: &Ground, email: &str) -> Self {
        let made = register(ground, email, HOME).await;
        let cx = person(&made, HOME);
        let enrol = EnrolTotp { password: Some(Revealed(PASSWORD.to_owned())) };
        let begun = ground.all.signin.enrol_totp(&cx, enrol).await.unwrap();
        let seed = app(&begun.secret);
        let code = Revealed(seed.code(ground.clock.now()).unwrap());
        let RecoveryCodes { recovery_codes } = ground.all.signin.confirm_totp(&cx, ConfirmTotp { code }).await.unwrap();
        // The code that confirmed is spent.
        ground.clock.advance(Duration::from_secs(30));
        Self { email: email.to_owned(), cx, seed, codes: recovery_codes }
    }

    fn code(&self, ground: &Ground) -> Revealed {
        Revealed(self.seed.code(ground.clock.now()).unwrap())
    }

    /// Has shown the second factor just now.
    pub(crate) async fn stepped_up(&self, ground: &Ground) -> Cx {
        let step_up = StepUp { code: Some(self.code(ground)), recovery_code: None };
        person(&ground.all.signin.step_up(&self.cx, step_up).await.unwrap(), HOME)
    }

    pub(crate) async fn asked(&self, ground: &Ground) -> SecondFactor {
        match login(ground, &self.email, PASSWORD, HOME).await.unwrap() {
            SignedIn::SecondFactor(asked) => asked,
            SignedIn::Tokens(_) => panic!("let in by a password alone"),
        }
    }
}

fn with_code(asked: &SecondFactor, code: &Revealed) -> ShowMfa {
    ShowMfa { mfa_token: asked.mfa_token.clone(), code: Some(code.clone()), recovery_code: None }
}

pub(crate) fn with_recovery(asked: &SecondFactor, code: &Revealed) -> ShowMfa {
    ShowMfa { mfa_token: asked.mfa_token.clone(), code: None, recovery_code: Some(code.clone()) }
}

fn is_full(tokens: &TokenReply) -> bool {
    claims(tokens)["amr"] == serde_json::json!(["pwd", "otp", "mfa"]) && claims(tokens)["mfa_time"].is_i64()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_set_up_an_app_is_asked_for_its_code() {
    each(async |ground: Ground| {
        let alice = Alice::new(&ground).await;
        let asked = alice.asked(&ground).await;
        assert!(asked.mfa_required);
        assert_eq!((asked.expires_in, asked.factors.as_slice()), (300, &[Factor::Totp, Factor::RecoveryCode][..]));
        let tokens = ground.all.signin.show_mfa(&from(HOME), with_code(&asked, &alice.code(&ground))).await.unwrap();
        assert!(is_full(&tokens), "{}", claims(&tokens));
        let again = ground.all.signin.show_mfa(&from(HOME), with_code(&asked, &alice.code(&ground))).await;
        assert_eq!(slug(again), "signin.mfa_token", "once");
        let late = alice.asked(&ground).await;
        ground.clock.advance(Duration::from_secs(300));
        let refused = ground.all.signin.show_mfa(&from(HOME), with_code(&late, &alice.code(&ground))).await;
        assert_eq!(slug(refused), "signin.mfa_token", "five minutes");
        let made_up = SecondFactor { mfa_token: Revealed("nsm_made-up".to_owned()), ..late };
        let refused = ground.all.signin.show_mfa(&from(HOME), with_code(&made_up, &alice.code(&ground))).await;
        assert_eq!(slug(refused), "signin.mfa_token");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_counts_once_wherever_it_is_shown() {
    each(async |ground: Ground| {
        let alice = Alice::new(&ground).await;
        let code = alice.code(&ground);
        let mut asked = Vec::new();
        for _ in 0..8 {
            asked.push(alice.asked(&ground).await);
        }
        let networks: Vec<Cx> = (0..8).map(|number| lasting(from(&format!("10.0.{number}.1")))).collect();
        let shown =
            asked.iter().zip(&networks).map(|(asked, cx)| ground.all.signin.show_mfa(cx, with_code(asked, &code)));
        let outcomes: Vec<String> = futures_util::future::join_all(shown).await.into_iter().map(slug).collect();
        assert_eq!(outcomes.iter().filter(|slug| *slug == "fine").count(), 1, "{outcomes:?}");
        assert!(outcomes.iter().all(|slug| slug == "fine" || slug == "signin.code_wrong"), "{outcomes:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_show_one_token_one_gets_in() {
    each(async |ground: Ground| {
        let alice = Alice::new(&ground).await;
        let asked = alice.asked(&ground).await;
        let networks: Vec<Cx> = (0..8).map(|number| lasting(from(&format!("10.0.{number}.1")))).collect();
        let shown = networks.iter().zip(&alice.codes).map(|(cx, code)| {
            let request = with_recovery(&asked, code);
            ground.all.signin.show_mfa(cx, request)
        });
        let outcomes: Vec<String> = futures_util::future::join_all(shown).await.into_iter().map(slug).collect();
        assert_eq!(outcomes.iter().filter(|slug| *slug == "fine").count(), 1, "{outcomes:?}");
        let left = ground.all.signin.list_factors(&alice.cx, Nothing {}).await.unwrap().recovery_codes_left;
        assert_eq!(left, 9, "what did not let in is not spent");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_code_counts_once() {
    each(async |ground: Ground| {
        let alice = Alice::new(&ground).await;
        assert_eq!(alice.codes.len(), 10);
        let code = Revealed(alice.codes[0].0.to_uppercase());
        let mut asked = Vec::new();
        for _ in 0..6 {
            asked.push(alice.asked(&ground).await);
        }
        let networks: Vec<Cx> = (0..6).map(|number| lasting(from(&format!("10.0.{number}.1")))).collect();
        let shown =
            asked.iter().zip(&networks).map(|(asked, cx)| ground.all.signin.show_mfa(cx, with_recovery(asked, &code)));
        let outcomes: Vec<String> = futures_util::future::join_all(shown).await.into_iter().map(slug).collect();
        assert_eq!(outcomes.iter().filter(|slug| *slug == "fine").count(), 1, "{outcomes:?}");
        let asked = alice.asked(&ground).await;
        let other = ground.all.signin.show_mfa(&from(HOME), with_recovery(&asked, &alice.codes[1])).await.unwrap();
        assert!(is_full(&other));
        // New codes end the old ones.
        let fresh = person(&other, HOME);
        let renewed = ground.all.signin.renew_recovery_codes(&fresh, Nothing {}).await.unwrap();
        let asked = alice.asked(&ground).await;
        let old = ground.all.signin.show_mfa(&from(HOME), with_recovery(&asked, &alice.codes[2])).await;
        assert_eq!(slug(old), "signin.code_wrong");
        let new = with_recovery(&asked, &renewed.recovery_codes[2]);
        assert_eq!(slug(ground.all.signin.show_mfa(&from(HOME), new).await), "fine");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_wrong_codes_end_a_token_and_hold_the_network_up() {
    each(async |ground: Ground| {
        let alice = Alice::new(&ground).await;
        let asked = alice.asked(&ground).await;
        let wrong = Revealed("000000".to_owned());
        let guesser = lasting(from("203.0.113.1"));
        for left in (0..5).rev() {
            let refused = ground.all.signin.show_mfa(&guesser, with_code(&asked, &wrong)).await.unwrap_err();
            assert_eq!((&*refused.slug, refused.code), ("signin.code_wrong", Code::Unauthenticated));
            assert_eq!(refused.details["tries_left"], left);
        }
        let spent = ground.all.signin.show_mfa(&from(HOME), with_code(&asked, &alice.code(&ground))).await;
        assert_eq!(slug(spent), "signin.mfa_token", "spent for everybody");
        // Who knows the password gets another token, and no more tries.
        let another = alice.asked(&ground).await;
        let refused = ground.all.signin.show_mfa(&guesser, with_code(&another, &wrong)).await;
        assert_eq!(slug(refused), "signin.locked");
        let owner = ground.all.signin.show_mfa(&from(HOME), with_code(&another, &alice.code(&ground))).await;
        assert_eq!(slug(owner), "fine", "the owner is somewhere else");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_is_bound_by_who_knows_the_password_and_unbound_by_who_has_it() {
    each(async |ground: Ground| {
        let made = register(&ground, "alice@example.com", HOME).await;
        let (cx, signin) = (person(&made, HOME), &ground.all.signin);
        let enrol = |password: Option<&str>| EnrolTotp { password: password.map(|text| Revealed(text.to_owned())) };
        assert_eq!(slug(signin.enrol_totp(&cx, enrol(None)).await), "signin.password_needed");
        assert_eq!(slug(signin.enrol_totp(&cx, enrol(Some("wrong horse"))).await), "signin.wrong");
        let confirm = |code: String| ConfirmTotp { code: Revealed(code) };
        assert_eq!(slug(signin.confirm_totp(&cx, confirm("123456".to_owned())).await), "signin.totp_not_begun");
        let begun = signin.enrol_totp(&cx, enrol(Some(PASSWORD))).await.unwrap();
        assert!(begun.uri.0.starts_with("otpauth://totp/Neo%20Service%20Layer:alice%40example.com?secret="));
        let seed = app(&begun.secret);
        // Until it is confirmed, it counts for nothing.
        assert_eq!(slug(login(&ground, "alice@example.com", PASSWORD, HOME).await), "fine");
        assert_eq!(slug(signin.confirm_totp(&cx, confirm("000000".to_owned())).await), "signin.code_wrong");
        let code = seed.code(ground.clock.now()).unwrap();
        signin.confirm_totp(&cx, confirm(code.clone())).await.unwrap();
        // From now on, a session without a second factor can change nothing of it.
        for outcome in [
            slug(signin.enrol_totp(&cx, enrol(Some(PASSWORD))).await),
            slug(signin.remove_totp(&cx, Nothing {}).await),
            slug(signin.renew_recovery_codes(&cx, Nothing {}).await),
        ] {
            assert_eq!(outcome, "auth.step_up");
        }
        let step_up = |code: &str| StepUp { code: Some(Revealed(code.to_owned())), recovery_code: None };
        assert_eq!(slug(signin.step_up(&cx, step_up(&code)).await), "signin.code_wrong", "it confirmed the app");
        ground.clock.advance(Duration::from_secs(30));
        let raised = signin.step_up(&cx, step_up(&seed.code(ground.clock.now()).unwrap())).await.unwrap();
        assert_eq!(raised.session_id, made.session_id);
        let fresh = person(&raised, HOME);
        assert!(fresh.second_factor(ground.clock.now()).is_ok());
        let left = signin.remove_totp(&fresh, Nothing {}).await.unwrap();
        assert!(left.password && left.factors.is_empty() && left.recovery_codes_left == 0);
        assert_eq!(slug(login(&ground, "alice@example.com", PASSWORD, HOME).await), "fine");
        let expected = [
            "signin.totp_removed",
            "signin.stepped_up",
            "signin.failed",
            "signin.totp_set",
            "signin.failed",
            "signin.totp_begun",
            "signin.failed",
        ];
        let events: Vec<String> =
            events(&ground, "signin.").await.into_iter().filter(|event| event != "signin.ok").collect();
        assert_eq!(events[..7], expected);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_seeds_nor_codes_nor_tokens_are_in_the_database() {
    each(async |ground: Ground| {
        let alice = Alice::new(&ground).await;
        let asked = alice.asked(&ground).await;
        for sql in ["SELECT sealed FROM totps", "SELECT sealed FROM signin_peppers"] {
            let rows = ground.db.query(nsl_sql::Scope::Platform, sql, Vec::new()).await.unwrap();
            let sealed: Vec<u8> = rows.into_iter().next().unwrap().take(0).unwrap();
            assert!(!sealed.windows(20).any(|bytes| bytes == alice.seed.bytes()));
        }
        let rows =
            ground.db.query(nsl_sql::Scope::Platform, "SELECT digest FROM mfa_tokens", Vec::new()).await.unwrap();
        let digest: String = rows.into_iter().next().unwrap().take(0).unwrap();
        assert!(digest.len() == 64 && !asked.mfa_token.0.contains(&digest));
        assert!(!format!("{asked:?} {:?}", alice.codes).contains(&alice.codes[0].0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_counts_once_counts_once_in_all_processes() {
    let ground = Ground::on(Some(nsl_sandbox::Database::fresh().unwrap()), 1_000).await;
    let doors = [ground.all.signin.clone(), ground.all_beside().await.signin, ground.all_beside().await.signin];
    let alice = Alice::new(&ground).await;
    let networks: Vec<Cx> = (0..9).map(|number| lasting(from(&format!("10.0.{number}.1")))).collect();
    for round in 0..4 {
        let mut asked = Vec::new();
        for _ in &networks {
            asked.push(alice.asked(&ground).await);
        }
        // A code, a recovery code, and one token with many codes.
        let code = alice.code(&ground);
        let requests = (0..networks.len()).map(|at| match round % 3 {
            0 => with_code(&asked[at], &code),
            1 => with_recovery(&asked[at], &alice.codes[0]),
            _ => with_recovery(&asked[0], &alice.codes[1 + at]),
        });
        let shown = requests.zip(&networks).enumerate().map(|(at, (request, cx))| doors[at % 3].show_mfa(cx, request));
        let outcomes: Vec<String> = futures_util::future::join_all(shown).await.into_iter().map(slug).collect();
        assert_eq!(outcomes.iter().filter(|slug| *slug == "fine").count(), 1, "round {round}: {outcomes:?}");
        ground.clock.advance(Duration::from_secs(60));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_on_after_a_session_asks_for_the_factor() {
    each(async |ground: Ground| {
        let alice = Alice::new(&ground).await;
        let fresh = alice.stepped_up(&ground).await;
        let (keys, oauth) = (&ground.all.identity, &ground.all.oauth);
        let new = || new_key("a key", &["storage:read"]);
        let key = keys.create_key(&fresh, new()).await.unwrap().key.id;
        let robot = || client_of("storage:read", &[ClientGrant::ClientCredentials]);
        let client = oauth.create_client(&fresh, robot()).await.unwrap().client.id;
        let own = ClientProof { id: "nsl-cli".to_owned(), secret: None };
        let device = oauth.authorize_device(&from(HOME), AuthorizeDevice { client: own, scope: None }).await.unwrap();
        let answer = |approve| AnswerDevice { user_code: device.user_code.clone(), approve, tenant: None };
        let all = async |cx: &Cx| {
            [
                slug(keys.create_key(cx, new()).await),
                slug(keys.rotate_key(cx, RotateKey { id: key.clone(), overlap_s: None }).await),
                slug(oauth.create_client(cx, robot()).await),
                slug(oauth.rotate_client_secret(cx, RotateSecret { id: client.clone(), overlap_s: 0 }).await),
                slug(oauth.answer_device(cx, answer(true)).await),
            ]
        };
        assert_eq!(all(&alice.cx).await, ["auth.step_up"; 5]);
        // Nor do others get rights by it.
        let people = &ground.all.people;
        let roles = || vec!["owner".to_owned()];
        let bob = joins(&ground, &fresh, "bob@example.com", &["viewer"]).await.principal.subject;
        let invite = InviteUser { email: None, roles: roles() };
        let member = SetMember { user: bob.to_string(), roles: roles() };
        let role = CreateRole { name: "ops".to_owned(), permissions: vec!["storage:read".to_owned()] };
        let put = serde_json::json!({ "issuer": "https://id.example", "client_id": "nsl" });
        let put = PutProviderAt { provider: "own".to_owned(), put: serde_json::from_value(put).unwrap() };
        let erase = OpenDataRequest { kind: DataKind::Erasure, subject: Some(bob), password: None };
        for outcome in [
            slug(people.invite_user(&alice.cx, invite).await),
            slug(people.set_member(&alice.cx, member).await),
            slug(people.create_role(&alice.cx, role).await),
            slug(ground.all.federation.put_provider(&alice.cx, put).await),
            slug(ground.all.privacy.open_data_request(&alice.cx, erase).await),
        ] {
            assert_eq!(outcome, "auth.step_up");
        }
        assert_eq!(all(&fresh).await, ["fine"; 5]);
        ground.clock.advance(Duration::from_secs(301));
        assert_eq!(slug(keys.create_key(&fresh, new()).await), "auth.step_up");
        // To let nobody in, nothing is asked.
        assert_eq!(slug(oauth.answer_device(&fresh, answer(false)).await), "oauth.device_answered");
    })
    .await;
}
