//! Questions at the terminal: the answers to some are not shown while they are typed.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::exit::{Exit, Failure};

const LONGEST: usize = 1_024;
const INTERRUPT: u8 = 3;
const END: u8 = 4;
const ERASE: [u8; 2] = [8, 127];

/// The terminal with nothing shown, until this goes away.
struct Quiet<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Quiet<'a> {
    fn new(terminal: &'a File) -> std::io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut quiet = before.clone();
        // Signals too come as bytes, so that an interrupt finds the terminal as it was.
        quiet.local_modes &= !(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        tcsetattr(terminal, OptionalActions::Flush, &quiet)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, OptionalActions::Flush, &self.before);
    }
}

/// Asks for a secret at the terminal, whatever standard input and output are. `instead`: what to do without one.
pub(crate) fn ask(what: &str, instead: &str) -> Result<Zeroizing<String>, Failure> {
    let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty");
    let terminal = terminal.map_err(|_| Failure::usage(format!("no terminal to ask for {what}: {instead}")))?;
    let read = || -> std::io::Result<Option<Zeroizing<Vec<u8>>>> {
        (&terminal).write_all(format!("{what}: ").as_bytes())?;
        let typed = {
            let _quiet = Quiet::new(&terminal)?;
            line(&mut &terminal)
        };
        (&terminal).write_all(b"\n")?;
        typed
    };
    let typed = read().map_err(|error| Failure::new(Exit::Failed, format!("cannot ask for {what}: {error}")))?;
    let typed = typed.ok_or_else(|| Failure::new(Exit::Failed, "interrupted"))?;
    text(&typed, what)
}

/// Asks for a plain yes at the terminal.
pub(crate) fn confirm(question: &str, instead: &str) -> Result<(), Failure> {
    let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty");
    let mut terminal = terminal.map_err(|_| Failure::usage(format!("no terminal to ask at: {instead}")))?;
    let mut read = || -> std::io::Result<String> {
        terminal.write_all(format!("{question} [y/N] ").as_bytes())?;
        let mut typed = [0; LONGEST];
        let length = terminal.read(&mut typed)?;
        Ok(String::from_utf8_lossy(&typed[..length]).trim().to_ascii_lowercase())
    };
    let typed = read().map_err(|error| Failure::new(Exit::Failed, format!("cannot ask: {error}")))?;
    match typed.as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::new(Exit::Failed, "not done")),
    }
}

/// What was typed up to the end of the line; none when it was broken off.
fn line(from: &mut impl Read) -> std::io::Result<Option<Zeroizing<Vec<u8>>>> {
    let mut typed = Zeroizing::new(Vec::with_capacity(LONGEST));
    let mut byte = [0];
    loop {
        if from.read(&mut byte)? == 0 {
            return Ok(Some(typed));
        }
        match byte[0] {
            b'\n' | b'\r' | END => return Ok(Some(typed)),
            INTERRUPT => return Ok(None),
            other if ERASE.contains(&other) => {
                // A character may have several bytes: those after the first begin with the bits 10.
                while typed.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
            }
            other if typed.len() < LONGEST => typed.push(other),
            _ => {}
        }
    }
}

/// The next line of standard input, read byte by byte so that what follows stays for others.
pub(crate) fn from_stdin(what: &str) -> Result<Zeroizing<String>, Failure> {
    let mut typed = Zeroizing::new(Vec::with_capacity(LONGEST));
    let (mut byte, mut stdin) = ([0], std::io::stdin().lock());
    let failed = |error: std::io::Error| Failure::usage(format!("cannot read {what} from standard input: {error}"));
    while stdin.read(&mut byte).map_err(failed)? > 0 && byte[0] != b'\n' && typed.len() < LONGEST {
        typed.push(byte[0]);
    }
    if typed.last() == Some(&b'\r') {
        typed.pop();
    }
    text(&typed, what)
}

fn text(typed: &[u8], what: &str) -> Result<Zeroizing<String>, Failure> {
    match std::str::from_utf8(typed) {
        Ok("") => Err(Failure::usage(format!("{what} is empty"))),
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(Failure::usage(format!("{what} is no text"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_where_it_was_ended_and_loses_what_was_erased() {
        for (typed, held) in [
            (&b"abc\nrest"[..], Some("abc")),
            (b"abc\r", Some("abc")),
            (b"ab\x7fc\x08\x08\x08\x08x\n", Some("x")),
            ("aü\u{7f}b\n".as_bytes(), Some("ab")),
            (b"abc\x03", None),
            (b"abc\x04", Some("abc")),
            (b"", Some("")),
        ] {
            let read = line(&mut &typed[..]).unwrap();
            assert_eq!(read.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap()).as_deref(), held, "{typed:?}");
        }
    }
}
