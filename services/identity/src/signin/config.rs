use std::{path::PathBuf, thread};

use nsl_kit::{Check, Mistakes, Profile, config::blank};
use nsl_signin::password::{Breached, Params, Settings};
use serde::Deserialize;

/// Section `[identity.signin]`.
#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    /// Who may make an account.
    #[serde(deserialize_with = "blank")]
    pub sign_up: Option<SignUp>,
    /// A file with the SHA-1 of passwords that nobody may choose, sorted.
    #[serde(deserialize_with = "blank")]
    pub breached_list: Option<PathBuf>,
    /// Memory of one hash of a password, in KiB.
    pub hash_memory_kib: u32,
    /// How often a hash passes over its memory.
    pub hash_passes: u32,
    /// In how many lanes.
    pub hash_lanes: u32,
    /// How many hashes are made at once; 0 for half the cores.
    pub hash_threads: usize,
    /// How many may wait.
    pub hash_waiting: usize,
}

/// Who may make an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignUp {
    /// Anyone, and each gets a tenant.
    Open,
    /// Who shows an invite of a tenant.
    Invited,
}

impl Default for Config {
    fn default() -> Self {
        let Params { memory_kib, passes, lanes } = Params::default();
        Self {
            sign_up: None,
            breached_list: None,
            hash_memory_kib: memory_kib,
            hash_passes: passes,
            hash_lanes: lanes,
            hash_threads: 0,
            hash_waiting: 64,
        }
    }
}

impl Config {
    /// Decides what was left to the profile.
    pub(crate) fn settle(&mut self, profile: Profile) {
        let usual = if profile.is_production() { SignUp::Invited } else { SignUp::Open };
        self.sign_up.get_or_insert(usual);
    }

    pub(crate) fn pool(&self) -> Settings {
        let half = || thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2));
        let threads = if self.hash_threads == 0 { half() } else { self.hash_threads };
        Settings { params: self.params(), threads, waiting: self.hash_waiting }
    }

    fn params(&self) -> Params {
        Params { memory_kib: self.hash_memory_kib, passes: self.hash_passes, lanes: self.hash_lanes }
    }
}

impl Check for Config {
    fn check(&self, profile: Profile, mistakes: &mut Mistakes) {
        let params = self.params();
        if !params.is_possible() {
            mistakes.add(
                "hash_memory_kib",
                "Argon2id takes 8 KiB a lane to 4 GiB, with hash_passes 1 to 64 and hash_lanes 1 to 16",
            );
        } else if profile.is_production() && !params.is_enough() {
            mistakes.add(
                "hash_memory_kib",
                "production refuses less than OWASP asks of Argon2id: 19456 KiB with hash_passes = 2, 47104 with 1",
            );
        }
        if self.hash_threads > 256 {
            mistakes.add("hash_threads", "is at most 256");
        }
        if !(1..=100_000).contains(&self.hash_waiting) {
            mistakes.add("hash_waiting", "lies between 1 and 100000");
        }
        if let Some(list) = &self.breached_list
            && let Err(error) = Breached::open(list)
        {
            mistakes.add("breached_list", format!("cannot use {}: {error}", list.display()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn production_refuses_hashes_that_are_too_cheap() {
        let refused = |memory_kib: u32, passes: u32, profile: Profile| {
            let config = Config { hash_memory_kib: memory_kib, hash_passes: passes, ..Config::default() };
            let mut mistakes = Mistakes::new();
            config.check(profile, &mut mistakes);
            !mistakes.is_empty()
        };
        for (memory_kib, passes, in_development, in_production) in [
            (19_456, 2, false, false),
            (47_104, 1, false, false),
            (19_456, 1, false, true),
            (64, 2, false, true),
            (7, 2, true, true),
            (19_456, 0, true, true),
            (u32::MAX, 2, true, true),
        ] {
            let told = [Profile::Development, Profile::Production].map(|profile| refused(memory_kib, passes, profile));
            assert_eq!(told, [in_development, in_production], "m={memory_kib} t={passes}");
        }
        let missing = Config { breached_list: Some("/nowhere/at/all".into()), ..Config::default() };
        let mut mistakes = Mistakes::new();
        missing.check(Profile::Development, &mut mistakes);
        assert_eq!(mistakes.len(), 1);
    }

    #[test]
    fn who_may_make_an_account_is_left_to_the_profile_where_nobody_says() {
        for (said, profile, settled) in [
            (None, Profile::Development, SignUp::Open),
            (None, Profile::Production, SignUp::Invited),
            (Some(SignUp::Invited), Profile::Development, SignUp::Invited),
            (Some(SignUp::Open), Profile::Production, SignUp::Open),
        ] {
            let mut config = Config { sign_up: said, ..Config::default() };
            config.settle(profile);
            assert_eq!(config.sign_up, Some(settled));
        }
    }
}
