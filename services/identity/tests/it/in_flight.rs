//! What is under way while that is taken back which it rests on. A sign-in is held at each look at the clock in turn,
//! which are before and after each of its steps, until all of the other is done.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
    mpsc,
};

use nsl_api::{
    Revealed,
    oauth::{AnswerDevice, AuthorizeDevice, ClientProof, Grant, GrantTokens},
    sessions::{EndOtherSessions, EndSession},
    signin::ChangePassword,
};
use nsl_core::{Clock, Cx, ManualClock, Result, Timestamp};
use parking_lot::Mutex;
use tokio::{runtime::Handle, sync::oneshot, task::spawn_blocking};

use crate::{
    ground::{Ground, each, lasting},
    second_factor::{Alice, HOME, with_recovery},
    signin::{PASSWORD, events, from, login_of, person, register, slug, tokens},
};

/// Where strangers are: nobody waits for their turn behind somebody else.
const AWAY: &str = "203.0.113.9";

/// Who is held over many requests of others.
fn held() -> Cx {
    lasting(from(AWAY))
}

tokio::task_local! {
    static HOLD: Hold;
}

/// Stops its thread when it looks at the clock for the so many-th time.
struct Hold {
    left: AtomicUsize,
    reached: Mutex<Option<oneshot::Sender<()>>>,
    go: Mutex<mpsc::Receiver<()>>,
}

/// Stops the tasks that are to be held; for all others it is the clock of the ground.
struct Stopwatch(Arc<ManualClock>);

impl Clock for Stopwatch {
    fn now(&self) -> Timestamp {
        let _ = HOLD.try_with(|hold| {
            if hold.left.fetch_sub(1, Ordering::AcqRel) == 1 {
                hold.reached.lock().take().unwrap().send(()).unwrap();
                hold.go.lock().recv().unwrap();
            }
        });
        self.0.now()
    }
}

/// Runs `work` up to its look at the clock number `at`, then all of `meanwhile`, then the rest of `work`. None: it never
/// looked so often.
async fn overtake<T: Send + 'static>(
    at: usize,
    work: impl Future<Output = T> + Send + 'static,
    meanwhile: impl Future<Output = ()>,
) -> Option<T> {
    let (reached, has_reached) = oneshot::channel();
    let (go, goes) = mpsc::channel();
    let hold = Hold { left: AtomicUsize::new(at), reached: Mutex::new(Some(reached)), go: Mutex::new(goes) };
    // On a thread of its own: what else runs is not held with it.
    let runtime = Handle::current();
    let work = spawn_blocking(move || runtime.block_on(HOLD.scope(hold, work)));
    if has_reached.await.is_err() {
        work.await.unwrap();
        return None;
    }
    meanwhile.await;
    go.send(()).unwrap();
    Some(work.await.unwrap())
}

fn to(new: &str) -> ChangePassword {
    ChangePassword { current_password: Revealed(PASSWORD.to_owned()), new_password: Revealed(new.to_owned()) }
}

async fn change(ground: &Ground, cx: &Cx) {
    ground.all.signin.change_password(cx, to("another horse")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_with_the_old_password_does_not_outlive_its_change() {
    each(async |ground: Ground| {
        let signin = ground.all_by(Arc::new(Stopwatch(ground.clock.clone()))).signin;
        let mut rounds = 0;
        loop {
            let email = format!("alice{rounds}@example.com");
            let owner = person(&register(&ground, &email, HOME).await, HOME);
            let signin = signin.clone();
            let login = async move { signin.login(&held(), login_of(&email, PASSWORD)).await };
            let Some(outcome) = overtake(rounds + 1, login, change(&ground, &owner)).await else { break };
            assert_eq!(slug(outcome), "signin.wrong", "held at {rounds}");
            rounds += 1;
        }
        // One for each account, one for the last sign-in, which nothing overtook, and those that were let in by
        // password and overtaken then.
        let let_in = events(&ground, "signin.ok").await.len();
        assert!(let_in > rounds + 2, "let in {let_in} times in {rounds} rounds");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_not_changed_by_the_one_before() {
    each(async |ground: Ground| {
        let signin = ground.all_by(Arc::new(Stopwatch(ground.clock.clone()))).signin;
        let mut rounds = 0;
        loop {
            let email = format!("alice{rounds}@example.com");
            let owner = person(&register(&ground, &email, HOME).await, HOME);
            let thief = Cx { source: from(AWAY).source, ..owner.clone() };
            let signin = signin.clone();
            let theft = async move { signin.change_password(&thief, to("horse of a thief")).await };
            let mut changed = String::new();
            let change = async {
                changed = slug(ground.all.signin.change_password(&owner, to("another horse")).await);
            };
            let Some(stolen) = overtake(rounds + 1, theft, change).await else { break };
            // Whoever is first: the other's old password is wrong by then.
            let outcomes = [changed, slug(stolen)];
            assert!(["fine", "signin.wrong"].iter().all(|one| outcomes.iter().any(|slug| slug == one)), "{outcomes:?}");
            let now = slug(ground.all.signin.login(&from(HOME), login_of(&email, "another horse")).await);
            assert_eq!(now, outcomes[0], "held at {rounds}");
            rounds += 1;
        }
        assert!(rounds > 1);
    })
    .await;
}

/// Held while the password is checked, or while the second factor is.
async fn overtake_half(ground: Ground, second: bool) {
    let signin = ground.all_by(Arc::new(Stopwatch(ground.clock.clone()))).signin;
    for at in 1.. {
        let email = format!("alice{at}@example.com");
        let alice = Alice::at(&ground, &email).await;
        let owner = alice.stepped_up(&ground).await;
        let (signin, code) = (signin.clone(), alice.codes[0].clone());
        let outcome = if second {
            let asked = alice.asked(&ground).await;
            let shown = async move { signin.show_mfa(&held(), with_recovery(&asked, &code)).await.map(drop) };
            overtake(at, shown, change(&ground, &owner)).await
        } else {
            let login = async move { signin.login(&held(), login_of(&email, PASSWORD)).await.map(drop) };
            overtake(at, login, change(&ground, &owner)).await
        };
        let Some(outcome) = outcome else {
            assert!(at > 2, "held at {at}");
            break;
        };
        let outcome = slug(outcome);
        assert!(["signin.wrong", "signin.mfa_token"].contains(&outcome.as_str()), "held at {at}: {outcome}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_second_factor_is_awaited_after_an_old_password() {
    each(async |ground: Ground| overtake_half(ground, false).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_factor_completes_nothing_after_an_old_password() {
    each(async |ground: Ground| overtake_half(ground, true).await).await;
}

fn own() -> Option<ClientProof> {
    Some(ClientProof { id: "nsl-cli".to_owned(), secret: None })
}

/// A device's code that was let in from there.
async fn let_in(ground: &Ground, by: &Cx) -> Revealed {
    let oauth = &ground.all.oauth;
    let begin = AuthorizeDevice { client: own().unwrap(), scope: None };
    let codes = oauth.authorize_device(&from(AWAY), begin).await.unwrap();
    let answer = AnswerDevice { user_code: codes.user_code, approve: true, tenant: None };
    oauth.answer_device(by, answer).await.unwrap();
    codes.device_code
}

fn poll(device_code: Revealed) -> GrantTokens {
    GrantTokens { grant: Grant::DeviceCode { device_code }, client: own(), scope: None, proof: None }
}

async fn asked(ground: &Ground, code: Revealed) -> Result<()> {
    ground.all.oauth.grant_tokens(&held(), poll(code)).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_let_in_no_longer_than_who_let_it_in() {
    each(async |ground: Ground| {
        let owner = person(&register(&ground, "ann@example.com", HOME).await, HOME);
        let signed_in = ground.all.signin.login(&from(AWAY), login_of("ann@example.com", PASSWORD)).await.unwrap();
        let thief = person(&tokens(signed_in), AWAY);
        let good = let_in(&ground, &thief).await;
        assert_eq!(slug(asked(&ground, good).await), "fine");
        // One session ends.
        let theirs = let_in(&ground, &thief).await;
        let mine = let_in(&ground, &owner).await;
        let id = thief.principal.session.as_deref().unwrap().to_owned();
        ground.all.sessions.end_session(&owner, EndSession { id }).await.unwrap();
        assert_eq!(slug(asked(&ground, theirs).await), "oauth.invalid_grant");
        assert_eq!(slug(asked(&ground, mine).await), "fine");
        // All but this end, and what would have become one with them.
        let code = let_in(&ground, &owner).await;
        ground.all.sessions.end_other_sessions(&owner, EndOtherSessions {}).await.unwrap();
        assert_eq!(slug(asked(&ground, code).await), "oauth.invalid_grant");
        let code = let_in(&ground, &owner).await;
        change(&ground, &owner).await;
        assert_eq!(slug(asked(&ground, code).await), "oauth.invalid_grant");
        assert_eq!(slug(asked(&ground, let_in(&ground, &owner).await).await), "fine", "after it");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_is_asking_does_not_outlive_the_end_of_all() {
    each(async |ground: Ground| {
        let oauth = ground.all_by(Arc::new(Stopwatch(ground.clock.clone()))).oauth;
        let ann = register(&ground, "ann@example.com", HOME).await;
        let mut rounds = 0;
        loop {
            let owner = person(&ann, HOME);
            let code = let_in(&ground, &owner).await;
            let oauth = oauth.clone();
            let asks = async move { oauth.grant_tokens(&held(), poll(code)).await };
            let end = async {
                ground.all.sessions.end_other_sessions(&owner, EndOtherSessions {}).await.unwrap();
            };
            let Some(outcome) = overtake(rounds + 1, asks, end).await else { break };
            assert_eq!(slug(outcome), "oauth.invalid_grant", "held at {rounds}");
            rounds += 1;
        }
        assert!(rounds > 1, "also after it was told that it is let in");
    })
    .await;
}
