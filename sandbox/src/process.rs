use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Mutex, OnceLock,
        mpsc::{Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

/// What can be sent to a process; `Pause` and `Resume` are SIGSTOP and SIGCONT.
#[derive(Clone, Copy, Debug)]
pub enum Signal {
    Terminate,
    Interrupt,
    HangUp,
    Pause,
    Resume,
    Kill,
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Self::Terminate => "TERM",
            Self::Interrupt => "INT",
            Self::HangUp => "HUP",
            Self::Pause => "STOP",
            Self::Resume => "CONT",
            Self::Kill => "KILL",
        }
    }
}

/// A child that dies with this process, and whose output goes to a file.
///
/// Dropped while the test panics, it prints the end of that file.
pub struct Process {
    name: String,
    child: Mutex<Child>,
    pid: u32,
    log: PathBuf,
}

impl Process {
    /// Starts `command`, as `user` when this process is root and a user is named.
    pub fn start(name: &str, command: &Command, log: &Path, user: Option<&str>) -> Result<Self> {
        let mut guarded = Command::new("setpriv");
        guarded.args(["--pdeathsig", "KILL"]);
        if let Some(user) = user.filter(|_| user_id() == 0) {
            guarded.arg("--reuid").arg(user).arg("--regid").arg(user).arg("--init-groups");
        }
        guarded.arg("--").arg(command.get_program()).args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => guarded.env(key, value),
                None => guarded.env_remove(key),
            };
        }
        if let Some(directory) = command.get_current_dir() {
            guarded.current_dir(directory);
        }
        let output = File::options().create(true).append(true).open(log)?;
        guarded.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = spawn(guarded).with_context(|| format!("starting {name}; scripts/setup.sh test installs it"))?;
        let pid = child.id();
        Ok(Self { name: name.to_owned(), child: Mutex::new(child), pid, log: log.to_owned() })
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Everything it has printed so far.
    pub fn output(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// How it ended, or nothing while it runs.
    pub fn ended(&self) -> Option<ExitStatus> {
        self.child.lock().expect("no holder panics").try_wait().ok().flatten()
    }

    /// Sends a signal to it alone; nothing happens when it has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        send(&[self.pid], signal)
    }

    /// Sends a signal to it and to every process under it.
    pub fn signal_tree(&self, signal: Signal) -> Result<()> {
        send(&tree(self.pid), signal)
    }

    /// Waits for its end.
    pub fn wait(&self, seconds: u64) -> Result<ExitStatus> {
        let until = Instant::now() + Duration::from_secs(seconds);
        loop {
            if let Some(status) = self.ended() {
                return Ok(status);
            }
            if Instant::now() > until {
                bail!("waiting {seconds} s for the end of {}: {}", self.name, self.tail());
            }
            thread::sleep(Duration::from_millis(3));
        }
    }

    /// Ends it as kill -9 does, at once, and waits until it is gone.
    pub fn kill(&self) {
        let mut child = self.child.lock().expect("no holder panics");
        let _ = child.kill();
        let _ = child.wait();
    }

    /// The last lines it printed.
    pub fn tail(&self) -> String {
        tail(&self.log)
    }

    /// Waits until `ready` says yes, and gives up early when the process ends before that.
    pub fn until_ready(&self, seconds: u64, mut ready: impl FnMut() -> bool) -> Result<()> {
        let until = Instant::now() + Duration::from_secs(seconds);
        loop {
            if let Some(status) = self.ended() {
                bail!("{} ended while starting: {status}: {}", self.name, self.tail());
            }
            if ready() {
                return Ok(());
            }
            if Instant::now() > until {
                bail!("{} not ready after {seconds} s: {}", self.name, self.tail());
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- the end of what {} printed ---\n{}", self.name, self.tail());
        }
        self.kill();
    }
}

/// Asks `holds` until it says yes; fails, naming `what`, when it has not by then.
pub fn eventually(what: &str, seconds: u64, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let until = Instant::now() + Duration::from_secs(seconds);
    loop {
        let last = holds();
        if matches!(last, Ok(true)) {
            return Ok(());
        }
        if Instant::now() > until {
            return match last {
                Err(error) => Err(error.context(format!("waited {seconds} s for: {what}"))),
                Ok(_) => bail!("waited {seconds} s for: {what}"),
            };
        }
        thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn tail(log: &Path) -> String {
    let read = || -> io::Result<String> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(6_000)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().unwrap_or_else(|error| format!("(its log cannot be read: {error})"))
}

/// The user this process runs as.
pub(crate) fn user_id() -> u32 {
    fs::metadata("/proc/self").map(|found| found.uid()).unwrap_or(u32::MAX)
}

/// A process and all its descendants, parents first.
pub(crate) fn tree(root: u32) -> Vec<u32> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        // The name in parentheses may hold anything, blanks and parentheses too.
        let after = stat.rsplit(')').next().unwrap_or_default();
        if let Some(parent) = after.split_whitespace().nth(1).and_then(|parent| parent.parse::<u32>().ok()) {
            parents.push((pid, parent));
        }
    }
    let mut found = vec![root];
    let mut next = 0;
    while next < found.len() {
        let of = found[next];
        found.extend(parents.iter().filter(|(_, parent)| *parent == of).map(|(pid, _)| *pid));
        next += 1;
    }
    found
}

fn send(pids: &[u32], signal: Signal) -> Result<()> {
    Command::new("kill")
        .arg(format!("-{}", signal.name()))
        .args(pids.iter().map(u32::to_string))
        .stderr(Stdio::null())
        .status()
        .context("running kill")?;
    Ok(())
}

type Order = (Command, Sender<io::Result<Child>>);

// The kernel sends the death signal when the *thread* that made the child ends, and test threads end early:
// one thread that lives as long as the process makes all children.
fn spawn(command: Command) -> io::Result<Child> {
    static NURSERY: OnceLock<Sender<Order>> = OnceLock::new();
    let nursery = NURSERY.get_or_init(|| {
        let (orders, waiting) = channel::<Order>();
        thread::spawn(move || {
            for (mut command, reply) in waiting {
                let _ = reply.send(command.spawn());
            }
        });
        orders
    });
    let (reply, answer) = channel();
    nursery.send((command, reply)).map_err(io::Error::other)?;
    answer.recv().map_err(io::Error::other)?
}
