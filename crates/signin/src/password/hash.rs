use argon2::{Algorithm, Argon2, Block, Version};
use aws_lc_rs::{constant_time::verify_slices_are_equal, rand};
use base64::{Engine, alphabet, engine};

use super::rules::Password;

const SALT: usize = 16;
const OUTPUT: usize = 32;

/// B64 of the PHC string format: without padding, and not a bit more than needed.
const B64: engine::GeneralPurpose = engine::GeneralPurpose::new(&alphabet::STANDARD, engine::general_purpose::NO_PAD);

/// How hard hashing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    /// m: memory in KiB.
    pub memory_kib: u32,
    /// t: how often the memory is passed over.
    pub passes: u32,
    /// p: lanes.
    pub lanes: u32,
}

/// The least that OWASP's password storage cheat sheet asks of Argon2id, in each of its forms.
const OWASP: [(u32, u32); 5] = [(47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5)];

impl Default for Params {
    fn default() -> Self {
        Self { memory_kib: 19_456, passes: 2, lanes: 1 }
    }
}

impl Params {
    /// Whether hashing with these is as hard as OWASP asks for at least.
    pub fn is_enough(self) -> bool {
        self.lanes >= 1 && OWASP.iter().any(|(memory, passes)| self.memory_kib >= *memory && self.passes >= *passes)
    }

    /// Whether these can be worked with at all, and in bearable time and memory.
    pub fn is_possible(self) -> bool {
        (1..=16).contains(&self.lanes)
            && (8 * self.lanes..=4 << 20).contains(&self.memory_kib)
            && (1..=64).contains(&self.passes)
    }

    // Another kind of balance is not less: only what is below in something is made anew.
    fn is_below(self, asked: Self) -> bool {
        self.memory_kib < asked.memory_kib || self.passes < asked.passes || self.lanes < asked.lanes
    }
}

/// What a password turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// `rehashed`: what to keep instead, where what is kept was made with less than is asked for now.
    Right {
        rehashed: Option<String>,
    },
    Wrong,
}

/// The memory of one thread, kept from hash to hash: asking the system for 19 MiB each time costs as much as a tenth
/// of the work.
#[derive(Default)]
pub(super) struct Memory(Vec<Block>);

impl Memory {
    fn hash(&mut self, params: Params, password: &[u8], salt: &[u8], out: &mut [u8]) -> Option<()> {
        let params = argon2::Params::new(params.memory_kib, params.passes, params.lanes, Some(out.len())).ok()?;
        let blocks = params.block_count();
        if self.0.len() < blocks {
            self.0.resize(blocks, Block::default());
        }
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        argon2.hash_password_into_with_memory(password, salt, out, &mut self.0[..blocks]).ok()
    }

    /// What is kept of a password. None when the system has no randomness.
    pub(super) fn make(&mut self, params: Params, password: &Password) -> Option<String> {
        let (mut salt, mut output) = ([0; SALT], [0; OUTPUT]);
        rand::fill(&mut salt).ok()?;
        self.hash(params, password.bytes(), &salt, &mut output)?;
        let Params { memory_kib, passes, lanes } = params;
        let (salt, output) = (B64.encode(salt), B64.encode(output));
        Some(format!("$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${salt}${output}"))
    }

    /// Whether it is the password that this was made of.
    pub(super) fn check(&mut self, asked: Params, password: &Password, kept: &str) -> Option<Verdict> {
        let kept = Kept::parse(kept)?;
        let mut output = vec![0; kept.output.len()];
        self.hash(kept.params, password.bytes(), &kept.salt, &mut output)?;
        if verify_slices_are_equal(&output, &kept.output).is_err() {
            return Some(Verdict::Wrong);
        }
        let is_weak = kept.params.is_below(asked) || kept.salt.len() < SALT || kept.output.len() < OUTPUT;
        let rehashed = if is_weak { Some(self.make(asked, password)?) } else { None };
        Some(Verdict::Right { rehashed })
    }

    /// As much work as `check`, for nothing.
    pub(super) fn waste(&mut self, asked: Params, password: &Password) -> Option<Verdict> {
        self.hash(asked, password.bytes(), &[0; SALT], &mut [0; OUTPUT])?;
        Some(Verdict::Wrong)
    }
}

/// A PHC string of Argon2id, version 19, in its parts.
struct Kept {
    params: Params,
    salt: Vec<u8>,
    output: Vec<u8>,
}

impl Kept {
    fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("$argon2id$v=19$m=")?;
        let (memory, rest) = rest.split_once(",t=")?;
        let (passes, rest) = rest.split_once(",p=")?;
        let mut parts = rest.split('$');
        let (lanes, salt, output) = (parts.next()?, parts.next()?, parts.next()?);
        let number = |text: &str| text.parse::<u32>().ok().filter(|number| number.to_string() == text);
        let params = Params { memory_kib: number(memory)?, passes: number(passes)?, lanes: number(lanes)? };
        let (salt, output) = (B64.decode(salt).ok()?, B64.decode(output).ok()?);
        let fits = parts.next().is_none()
            && params.is_possible()
            && (8..=64).contains(&salt.len())
            && (16..=64).contains(&output.len());
        fits.then_some(Self { params, salt, output })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Params = Params { memory_kib: 64, passes: 2, lanes: 1 };

    fn typed(text: &str) -> Password {
        Password::typed(text).unwrap()
    }

    #[test]
    fn owasps_least_is_known_in_each_form() {
        assert!(Params::default().is_enough());
        for (memory_kib, passes, lanes, enough) in [
            (19_456, 2, 1, true),
            (19_455, 2, 1, false),
            (19_456, 1, 1, false),
            (47_104, 1, 1, true),
            (65_536, 3, 4, true),
            (7_168, 5, 1, true),
            (7_167, 64, 1, false),
        ] {
            assert_eq!(Params { memory_kib, passes, lanes }.is_enough(), enough, "m={memory_kib} t={passes}");
        }
        for (memory_kib, passes, lanes) in [(7, 1, 1), (8, 0, 1), (8, 1, 0), (15, 1, 2), (u32::MAX, 1, 1), (64, 65, 1)]
        {
            assert!(!Params { memory_kib, passes, lanes }.is_possible());
        }
    }

    #[test]
    fn a_password_is_known_again_and_no_other_is_taken() {
        let mut memory = Memory::default();
        let kept = memory.make(QUICK, &typed("correct horse")).unwrap();
        assert_ne!(kept, memory.make(QUICK, &typed("correct horse")).unwrap(), "each has a salt of its own");
        let mut check = |text: &str| memory.check(QUICK, &typed(text), &kept);
        assert_eq!(check("correct horse"), Some(Verdict::Right { rehashed: None }));
        assert_eq!(check("correct horsf"), Some(Verdict::Wrong));
        assert_eq!(memory.waste(QUICK, &typed("correct horse")), Some(Verdict::Wrong));
    }

    /// Made by the reference implementation: `echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1`.
    #[test]
    fn what_others_made_is_read() {
        let kept = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        let mut memory = Memory::default();
        let weak_salt = memory.check(QUICK, &typed("password"), kept).unwrap();
        let Verdict::Right { rehashed: Some(rehashed) } = weak_salt else { panic!("{weak_salt:?}") };
        assert!(rehashed.starts_with("$argon2id$v=19$m=64,t=2,p=1$"));
        assert_eq!(memory.check(QUICK, &typed("Password"), kept), Some(Verdict::Wrong));
    }

    #[test]
    fn what_was_made_with_less_is_made_anew() {
        let mut memory = Memory::default();
        let kept = memory.make(QUICK, &typed("correct horse")).unwrap();
        let more = Params { memory_kib: 128, ..QUICK };
        let Some(Verdict::Right { rehashed: Some(rehashed) }) = memory.check(more, &typed("correct horse"), &kept)
        else {
            panic!("not made anew")
        };
        assert!(rehashed.contains("m=128,"));
        assert_eq!(
            memory.check(QUICK, &typed("correct horse"), &rehashed),
            Some(Verdict::Right { rehashed: None }),
            "more than asked for stays"
        );
        assert_eq!(memory.check(more, &typed("other"), &kept), Some(Verdict::Wrong));
    }

    #[test]
    fn what_is_no_string_of_ours_is_no_password() {
        let mut memory = Memory::default();
        let good = memory.make(QUICK, &typed("x")).unwrap();
        for bad in [
            "",
            "$argon2i$v=19$m=64,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            "$argon2id$v=16$m=64,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            "$argon2id$v=19$m=4294967295,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            "$argon2id$v=19$m=+64,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            "$argon2id$v=19$m=64,t=2,p=1$$",
            "$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHQ$AA",
            &format!("{good}$"),
            &good[..good.len() - 30],
        ] {
            assert_eq!(memory.check(QUICK, &typed("x"), bad), None, "{bad}");
        }
    }
}
