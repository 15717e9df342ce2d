use std::{
    collections::HashSet,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
};

use anyhow::{Context, Result, bail, ensure};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    home::{home, run},
    process::{eventually, tail},
};

/// How a shared server is started: a command line for `sh`, run in the server's directory.
pub(crate) struct Recipe<S> {
    pub(crate) state: S,
    pub(crate) script: String,
    pub(crate) env: Vec<(String, String)>,
}

/// Raised when a recipe changes in a way that a server started by an older one does not satisfy.
const EDITION: &str = "1";

/// The server `name` that all tests of this machine share: the first that asks starts it, a keeper ends it
/// a minute after the last process that asked is gone.
///
/// Users hold a shared lock on one file while they live, which the kernel drops however they end; the
/// keeper stops the server only while it holds that lock alone, so none is taken from under a test.
pub(crate) fn shared<S: Serialize + DeserializeOwned>(
    name: &str,
    seconds: u64,
    recipe: impl FnOnce(&Path) -> Result<Recipe<S>>,
    answers: impl Fn(&S) -> bool,
) -> Result<S> {
    let place = home()?.join("shared").join(format!("{name}-{EDITION}"));
    fs::create_dir_all(&place)?;
    join_users(&place)?;
    let starting = File::create(place.join("start.lock"))?;
    starting.lock()?;
    let state_file = place.join("state.json");
    if let Ok(text) = fs::read(&state_file)
        && let Ok(state) = serde_json::from_slice::<S>(&text)
        && is_kept(&place)
    {
        // Slow is not dead: others may be using it, and a busy machine answers late.
        let patience = eventually("it answers", 60, || Ok(!is_kept(&place) || answers(&state)));
        if patience.is_ok() && is_kept(&place) {
            return Ok(state);
        }
    }
    retire(&place)?;
    let directory = place.join("server");
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir(&directory)?;
    let recipe = recipe(&directory)?;
    let log = place.join("log");
    let output = File::create(&log)?;
    let keeper = [
        "idle=0 end=0",
        "trap 'end=1' TERM",
        // It may serve many who are not as patient as who started it; only root may do this.
        "renice -n 0 -p $$ 2>&-",
        "cd \"$1/server\"",
        &format!("{{ {}; }} &", recipe.script),
        "server=$!",
        "echo $$ > \"$1/keeper.pid\"",
        "exec 9>>\"$1/users.lock\"",
        "while [ $end = 0 ] && kill -0 $server; do",
        "  sleep 5 9>&- & wait $!",
        "  if flock -n -x 9; then idle=$((idle + 1)); else idle=0; fi",
        "  if [ $idle -ge 12 ]; then end=1; else flock -u 9; fi",
        "done",
        "flock -w 1 -x 9",
        "rm -f \"$1/state.json\"",
        "kill -INT $server; kill -TERM $server",
        "for wait in 1 2 3 4 5 6 7 8 9 10; do kill -0 $server || break; sleep 0.5 9>&-; done",
        "kill -KILL $server",
        "rm -rf \"$1\"/gone.*",
        "mv \"$1/server\" \"$1/gone.$$\"",
        "rm -f \"$1/keeper.pid\"",
        // The next may start now: taking so many files away takes a while.
        "exec 9>&-",
        "rm -rf \"$1/gone.$$\"",
    ]
    .join("\n");
    let mut command = Command::new("setsid");
    command.args(["--fork", "sh", "-c", &keeper, "keeper"]).arg(&place).current_dir(&directory);
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).envs(recipe.env);
    let status = command.status().context("running setsid")?;
    if !status.success() {
        bail!("starting the shared {name}: {status}");
    }
    let mut began = false;
    let mut ended = false;
    eventually(&format!("the shared {name} answers"), seconds, || {
        // The keeper takes its note away when the server has ended.
        let noted = place.join("keeper.pid").exists();
        ended = began && !noted;
        began |= noted;
        Ok(ended || answers(&recipe.state))
    })
    .with_context(|| tail(&log))?;
    ensure!(!ended, "the shared {name} ended while starting: {}", tail(&log));
    fs::write(&state_file, serde_json::to_vec(&recipe.state)?)?;
    Ok(recipe.state)
}

// Held until this process ends.
fn join_users(place: &Path) -> Result<()> {
    static JOINED: Mutex<Option<(HashSet<PathBuf>, Vec<File>)>> = Mutex::new(None);
    let mut joined = JOINED.lock().expect("no holder panics");
    let (places, files) = joined.get_or_insert_default();
    if places.insert(place.to_owned()) {
        let users = File::options().create(true).append(true).open(place.join("users.lock"))?;
        users.lock_shared()?;
        files.push(users);
    }
    Ok(())
}

// A server that no longer answers is ended before its successor starts.
fn retire(place: &Path) -> Result<()> {
    if let Some(pid) = keeper(place) {
        run(Command::new("kill").arg("-TERM").arg(pid))?;
        eventually("the old keeper ends", 30, || Ok(!is_kept(place)))?;
    }
    let _ = fs::remove_file(place.join("keeper.pid"));
    Ok(())
}

fn is_kept(place: &Path) -> bool {
    keeper(place).is_some()
}

// The keeper's process, when the one that it noted is still the keeper of this place.
fn keeper(place: &Path) -> Option<String> {
    let pid = fs::read_to_string(place.join("keeper.pid")).ok()?.trim().to_owned();
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    String::from_utf8_lossy(&line).split('\0').any(|word| Path::new(word) == place).then_some(pid)
}
