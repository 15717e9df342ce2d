use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context, Result, bail};
use nsl_devnet::free_port;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    home::{Room, run},
    http::{Reply, http},
    process::{Process, Signal, eventually},
    shared::{Recipe, shared},
};

const USER: &str = "nsl";
const PASSWORD: &str = "sandbox";

/// A RabbitMQ 3.10 node of one's own; it takes some six seconds to start, so only tests that harm the
/// server should want one.
pub struct RabbitMq {
    process: Option<Process>,
    _epmd: Process,
    ports: Ports,
    environment: Vec<(String, String)>,
    room: Room,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Ports {
    amqp: u16,
    management: u16,
    distribution: u16,
    epmd: u16,
}

impl RabbitMq {
    pub fn start() -> Result<Self> {
        let room = Room::new("rabbitmq")?;
        let ports = Ports::claim()?;
        let environment = prepare(room.path(), ports)?;
        let mut epmd = Command::new("epmd");
        epmd.args(["-address", "127.0.0.1", "-port", &ports.epmd.to_string()]);
        let epmd = Process::start("epmd", &epmd, &room.path().join("epmd.log"), None)?;
        let mut server = Self { process: None, _epmd: epmd, ports, environment, room };
        server.start_again()?;
        Ok(server)
    }

    /// A new empty virtual host on this node.
    pub fn vhost(&self) -> Result<Vhost> {
        Vhost::create(self.ports)
    }

    /// The server process.
    pub fn process(&self) -> &Process {
        self.process.as_ref().expect("the server was stopped by this test")
    }

    /// Stops it in order.
    pub fn stop(&mut self) -> Result<()> {
        if let Some(process) = self.process.take() {
            process.signal(Signal::Terminate)?;
            process.wait(60)?;
        }
        Ok(())
    }

    /// kill -9: what was not on disk is lost.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(process) = self.process.take() {
            process.signal_tree(Signal::Kill)?;
            process.kill();
        }
        Ok(())
    }

    /// Starts it on the ports and data it had, and waits until it answers.
    pub fn start_again(&mut self) -> Result<()> {
        let mut command = Command::new(server_script()?);
        command.envs(self.environment.iter().cloned()).current_dir(self.room.path());
        let process = Process::start("rabbitmq", &command, &self.room.path().join("log"), None)?;
        process.until_ready(120, || answers(self.ports))?;
        self.process = Some(process);
        Ok(())
    }

    /// Freezes it: connections stay open and nothing answers.
    pub fn pause(&self) -> Result<()> {
        self.process().signal(Signal::Pause)
    }

    pub fn resume(&self) -> Result<()> {
        self.process().signal(Signal::Resume)
    }
}

/// A virtual host of one test; dropped together with it, queues and all.
pub struct Vhost {
    ports: Ports,
    name: String,
}

impl Vhost {
    /// A new empty virtual host on the node that all tests share.
    pub fn fresh() -> Result<Self> {
        let ports = shared(
            "rabbitmq",
            120,
            |directory| {
                let ports = Ports::claim()?;
                let env = prepare(directory, ports)?;
                let script = format!(
                    "setpriv --pdeathsig KILL epmd -address 127.0.0.1 -port {} & exec {}",
                    ports.epmd,
                    server_script()?.display()
                );
                Ok(Recipe { state: ports, script, env })
            },
            |ports| answers(*ports),
        )?;
        Self::create(ports)
    }

    fn create(ports: Ports) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let word = fs::read_to_string("/proc/sys/kernel/random/uuid")?;
        let vhost = Self { ports, name: format!("t{number}-{}", word.trim()) };
        let all = json!({"configure": ".*", "write": ".*", "read": ".*"}).to_string();
        let steps =
            [(format!("/api/vhosts/{}", vhost.name), ""), (format!("/api/permissions/{}/{USER}", vhost.name), &*all)];
        // A node that has just started drops some of its first requests; both may be repeated.
        for (path, body) in steps {
            eventually(&format!("making {path}"), 20, || Ok(vhost.manage("PUT", &path, body).is_ok()))?;
        }
        Ok(vhost)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn url(&self) -> String {
        format!("amqp://{USER}:{PASSWORD}@127.0.0.1:{}/{}", self.ports.amqp, self.name)
    }

    /// As [`Vhost::url`], without the password, which is [`Vhost::password`].
    pub fn url_without_password(&self) -> String {
        format!("amqp://{USER}@127.0.0.1:{}/{}", self.ports.amqp, self.name)
    }

    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    /// The queues of this virtual host by name, with how many messages each holds by its own count.
    pub fn queues(&self) -> Result<Vec<(String, u64)>> {
        let list =
            self.manage("GET", &format!("/api/queues/{}?disable_stats=true&enable_queue_totals=true", self.name), "")?;
        let queues = list.json()?;
        let queues = queues.as_array().context("reading the list of queues")?;
        let read = |queue: &Value| (text(queue, "name"), queue["messages"].as_u64().unwrap_or_default());
        Ok(queues.iter().map(read).collect())
    }

    /// Ends every connection to this virtual host from the server's side; returns how many there were.
    pub fn cut_connections(&self) -> Result<usize> {
        let list = self.manage("GET", &format!("/api/vhosts/{}/connections", self.name), "")?.json()?;
        let connections = list.as_array().context("reading the list of connections")?;
        for connection in connections {
            let name = text(connection, "name").replace(' ', "%20").replace('>', "%3E");
            self.manage("DELETE", &format!("/api/connections/{name}"), "")?;
        }
        Ok(connections.len())
    }

    /// Waits until the server lists at least `count` connections, which it does some seconds late.
    pub fn until_connected(&self, count: usize) -> Result<()> {
        eventually("the connections are listed", 30, || {
            let list = self.manage("GET", &format!("/api/vhosts/{}/connections", self.name), "")?.json()?;
            Ok(list.as_array().is_some_and(|list| list.len() >= count))
        })
    }

    fn manage(&self, method: &str, path: &str, body: &str) -> Result<Reply> {
        let reply = manage(self.ports.management, method, path, body)?;
        if reply.status >= 300 {
            bail!("{method} {path} on rabbitmq: {} {}", reply.status, reply.body);
        }
        Ok(reply)
    }
}

impl Drop for Vhost {
    fn drop(&mut self) {
        let _ = self.manage("DELETE", &format!("/api/vhosts/{}", self.name), "");
    }
}

impl Ports {
    fn claim() -> Result<Self> {
        Ok(Self { amqp: free_port()?, management: free_port()?, distribution: free_port()?, epmd: free_port()? })
    }
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

fn answers(ports: Ports) -> bool {
    manage(ports.management, "GET", "/api/health/checks/virtual-hosts", "").is_ok_and(|reply| reply.status == 200)
        && std::net::TcpStream::connect(("127.0.0.1", ports.amqp)).is_ok()
}

fn manage(port: u16, method: &str, path: &str, body: &str) -> Result<Reply> {
    // "nsl:sandbox"
    let headers = ["Authorization: Basic bnNsOnNhbmRib3g=".to_owned(), "Content-Type: application/json".to_owned()];
    http(method, &format!("127.0.0.1:{port}"), path, &headers, body)
}

// The packaged command changes to the user rabbitmq and to the system's own node; the script under it does
// what its environment says.
fn server_script() -> Result<PathBuf> {
    let scripts = ["/usr/lib/rabbitmq/bin/rabbitmq-server"];
    let found = scripts.iter().map(PathBuf::from).find(|path| path.exists());
    found.context("finding rabbitmq-server; scripts/setup.sh test installs it")
}

fn prepare(directory: &Path, ports: Ports) -> Result<Vec<(String, String)>> {
    let file = |name: &str| directory.join(name);
    for part in ["home", "mnesia", "logs", "schema"] {
        fs::create_dir_all(file(part))?;
    }
    let settings = format!(
        "listeners.tcp.1 = 127.0.0.1:{}\nmanagement.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {}\ndefault_user = {USER}\ndefault_pass = {PASSWORD}\ndisk_free_limit.absolute = 50MB\nvm_memory_high_watermark.absolute = 1GB\nlog.console = true\nlog.console.level = info\nlog.file = false\n",
        ports.amqp, ports.management
    );
    fs::write(file("rabbitmq.conf"), settings)?;
    fs::write(file("plugins"), "[rabbitmq_management].")?;
    fs::write(file("home/.erlang.cookie"), format!("sandbox{}", std::process::id()))?;
    run(Command::new("chmod").arg("400").arg(file("home/.erlang.cookie")))?;
    let path = |name: &str| file(name).display().to_string();
    let pairs = [
        ("HOME", path("home")),
        ("ERL_EPMD_PORT", ports.epmd.to_string()),
        ("ERL_EPMD_ADDRESS", "127.0.0.1".into()),
        ("RABBITMQ_NODENAME", format!("nsl{}@localhost", ports.distribution)),
        ("RABBITMQ_DIST_PORT", ports.distribution.to_string()),
        ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1} +S 2:2".into()),
        ("RABBITMQ_CONF_ENV_FILE", "/dev/null".into()),
        ("RABBITMQ_CONFIG_FILE", path("rabbitmq.conf")),
        ("RABBITMQ_ADVANCED_CONFIG_FILE", path("advanced.config")),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", path("plugins")),
        ("RABBITMQ_MNESIA_BASE", path("mnesia")),
        ("RABBITMQ_LOG_BASE", path("logs")),
        ("RABBITMQ_LOGS", "-".into()),
        ("RABBITMQ_SCHEMA_DIR", path("schema")),
        ("RABBITMQ_GENERATED_CONFIG_DIR", path("schema")),
        ("RABBITMQ_PID_FILE", path("pid")),
        // Makes the script become the server instead of its parent, so that a signal reaches the server.
        ("RUNNING_UNDER_SYSTEMD", "true".into()),
    ];
    Ok(pairs.map(|(key, value)| (key.to_owned(), value)).to_vec())
}
