//! Processes that this program starts, finds again after its own end, and ends: never another that got their number.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write as _},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Mutex, OnceLock,
        mpsc::{Sender, channel},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};
pub(crate) use rustix::process::Signal;
use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

const TICK: Duration = Duration::from_millis(10);

/// Which process it is, for ever: its number, when it began, and in which life of the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) pid: u32,
    started: u64,
    boot: String,
}

impl Identity {
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let (_, started) = stat(pid).with_context(|| format!("looking at process {pid}"))?;
        Ok(Self { pid, started, boot: boot()? })
    }

    /// Whether that very process still runs.
    pub(crate) fn runs(&self) -> bool {
        boot().is_ok_and(|boot| boot == self.boot)
            && stat(self.pid).is_ok_and(|(state, started)| started == self.started && !matches!(state, 'Z' | 'X'))
    }

    /// Sends it a signal; nothing happens when it has ended.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else { return Ok(()) };
        // The descriptor is of one process for ever: what is seen after it is taken is true of what gets the signal.
        let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { return Ok(()) };
        if !self.runs() {
            return Ok(());
        }
        match pidfd_send_signal(process, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("sending a signal to process {}", self.pid)),
        }
    }

    /// Asks it to end, waits, and ends it by force when it has not by then.
    pub(crate) async fn end(&self, signal: Signal, patience: Duration) -> Result<()> {
        self.signal(signal)?;
        if !self.gone_within(patience).await {
            self.signal(Signal::KILL)?;
            if !self.gone_within(patience).await {
                bail!("process {} does not end", self.pid);
            }
        }
        Ok(())
    }

    async fn gone_within(&self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        while self.runs() {
            if Instant::now() > until {
                return false;
            }
            sleep(TICK).await;
        }
        true
    }
}

/// Whether a node outlives the program that started it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Life {
    /// It ends with the program that started it, also when that one is killed, and when its handle is dropped.
    #[default]
    WithUs,
    /// It runs until it is stopped.
    OnItsOwn,
}

/// A node process, and what is needed to begin it again.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) identity: Identity,
    child: Mutex<Option<Child>>,
    life: Life,
}

impl Running {
    /// Starts a program whose output goes to `log`, which begins anew. It begins only once `noted` has written down
    /// which process it is: where that fails, or this program is killed before, nothing runs that nobody knows of.
    pub(crate) async fn start(
        command: Command,
        log: &Path,
        life: Life,
        noted: impl FnOnce(&Identity) -> Result<()>,
    ) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut command = gated(&command, life);
        let output = File::create(log).with_context(|| format!("making {}", log.display()))?;
        // A group of its own: the Ctrl-C of a terminal is not meant for it.
        command.process_group(0).stdin(Stdio::piped()).stdout(output.try_clone()?).stderr(output);
        let mut child = spawn(command).await.with_context(|| format!("starting {name}"))?;
        let begin = child.stdin.take();
        let noted = Identity::of(child.id()).and_then(|identity| noted(&identity).map(|()| identity));
        let identity = match noted {
            Ok(identity) => identity,
            Err(error) => {
                drop(begin);
                let _ = child.wait();
                return Err(error);
            }
        };
        if let Some(mut begin) = begin {
            // One that has ended already is seen by whoever waits for it.
            let _ = begin.write_all(b"\n");
        }
        Ok(Self { identity, child: Mutex::new(Some(child)), life })
    }

    /// One that was started before, by a program that is gone.
    pub(crate) fn found(identity: Identity) -> Self {
        Self { identity, child: Mutex::new(None), life: Life::OnItsOwn }
    }

    pub(crate) fn runs(&self) -> bool {
        self.reap();
        self.identity.runs()
    }

    pub(crate) async fn end(&self, signal: Signal, patience: Duration) -> Result<()> {
        let ended = self.identity.end(signal, patience).await;
        self.reap();
        ended
    }

    /// Ends it as kill -9 does and waits until it is gone.
    pub(crate) fn kill(&self) {
        if let Some(child) = self.child.lock().expect("no holder panics").as_mut() {
            let _ = child.kill();
            let _ = child.wait();
        } else {
            let _ = self.identity.signal(Signal::KILL);
            while self.identity.runs() {
                thread::park_timeout(TICK);
            }
        }
    }

    // Takes the status of a child that has ended, so that no dead entry stays behind.
    fn reap(&self) {
        if let Some(child) = self.child.lock().expect("no holder panics").as_mut() {
            let _ = child.try_wait();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.life == Life::WithUs {
            self.kill();
        }
    }
}

// Through a shell that waits for a line and then becomes the program: with the end of its input instead, it ends.
// What is to end with this program goes through setpriv as well, so that the kernel ends it when this program is
// killed; without setpriv the handle does.
fn gated(command: &Command, life: Life) -> Command {
    const GATE: [&str; 4] = ["/bin/sh", "-c", "read -r _ && exec \"$@\" </dev/null", "sh"];
    let setpriv = ["/usr/bin/setpriv", "/bin/setpriv"].into_iter().find(|path| Path::new(path).exists());
    let bound = setpriv.filter(|_| life == Life::WithUs);
    let mut words = bound.into_iter().flat_map(|path| [path, "--pdeathsig", "KILL", "--"]).chain(GATE);
    let mut gated = Command::new(words.next().unwrap_or_default());
    gated.args(words).arg(command.get_program());
    copy(command, gated)
}

fn copy(from: &Command, mut to: Command) -> Command {
    to.args(from.get_args());
    for (key, value) in from.get_envs() {
        match value {
            Some(value) => to.env(key, value),
            None => to.env_remove(key),
        };
    }
    if let Some(dir) = from.get_current_dir() {
        to.current_dir(dir);
    }
    to
}

type Order = (Command, tokio::sync::oneshot::Sender<io::Result<Child>>);

// All are started by one thread that never ends: the kernel takes the end of the starting thread for the end of the
// program.
async fn spawn(command: Command) -> Result<Child> {
    static ORDERS: OnceLock<Sender<Order>> = OnceLock::new();
    let orders = ORDERS.get_or_init(|| {
        let (sender, orders) = channel::<Order>();
        thread::spawn(move || {
            for (mut command, answer) in orders {
                let _ = answer.send(command.spawn());
            }
        });
        sender
    });
    let (answer, child) = tokio::sync::oneshot::channel();
    orders.send((command, answer)).context("the thread that starts programs is gone")?;
    Ok(child.await??)
}

/// The end of what a node printed.
pub(crate) fn tail(log: &Path) -> String {
    let read = || -> io::Result<String> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(3_000)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().unwrap_or_else(|error| format!("(its log cannot be read: {error})"))
}

// State letter and start time in ticks since the machine began.
fn stat(pid: u32) -> Result<(char, u64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in parentheses may hold anything, blanks and parentheses too.
    let mut fields = text.rsplit(')').next().unwrap_or_default().split_whitespace();
    let state = fields.next().and_then(|field| field.chars().next()).context("it has no state")?;
    let started = fields.nth(18).context("it has no start time")?.parse()?;
    Ok((state, started))
}

fn boot() -> Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper() -> Command {
        let mut command = Command::new("sleep");
        command.arg("600");
        command
    }

    fn known(_: &Identity) -> Result<()> {
        Ok(())
    }

    #[tokio::test]
    async fn what_could_not_be_written_down_never_begins() {
        let dir = tempfile::tempdir().unwrap();
        let begun = dir.path().join("begun");
        for life in [Life::WithUs, Life::OnItsOwn] {
            let mut command = Command::new("touch");
            command.arg(&begun);
            let mut seen = None;
            let noted = |identity: &Identity| {
                seen = Some(identity.clone());
                bail!("the disk is full")
            };
            let error = Running::start(command, &dir.path().join("log"), life, noted).await.unwrap_err();
            assert_eq!(error.to_string(), "the disk is full");
            assert!(!seen.unwrap().runs() && !begun.exists());
        }
    }

    #[tokio::test]
    async fn a_process_is_known_again_and_ended() {
        let dir = tempfile::tempdir().unwrap();
        let running = Running::start(sleeper(), &dir.path().join("log"), Life::WithUs, known).await.unwrap();
        let text = serde_json::to_string(&running.identity).unwrap();
        let again: Identity = serde_json::from_str(&text).unwrap();
        assert!(again.runs() && running.runs());
        again.end(Signal::TERM, Duration::from_secs(5)).await.unwrap();
        assert!(!again.runs() && !running.runs());
        again.signal(Signal::TERM).unwrap();
    }

    #[tokio::test]
    async fn another_process_with_the_same_number_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let running = Running::start(sleeper(), &dir.path().join("log"), Life::WithUs, known).await.unwrap();
        let earlier = Identity { started: running.identity.started - 1, ..running.identity.clone() };
        let other_boot = Identity { boot: "another".to_owned(), ..running.identity.clone() };
        for stranger in [earlier, other_boot] {
            assert!(!stranger.runs());
            stranger.end(Signal::KILL, Duration::from_secs(1)).await.unwrap();
        }
        assert!(running.runs());
    }

    #[tokio::test]
    async fn a_dropped_handle_ends_its_own_and_leaves_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let bound = Running::start(sleeper(), &dir.path().join("a"), Life::WithUs, known).await.unwrap();
        let free = Running::start(sleeper(), &dir.path().join("b"), Life::OnItsOwn, known).await.unwrap();
        let (first, second) = (bound.identity.clone(), free.identity.clone());
        drop((bound, free));
        assert!(!first.runs());
        assert!(second.runs());
        second.end(Signal::KILL, Duration::from_secs(5)).await.unwrap();
    }
}
