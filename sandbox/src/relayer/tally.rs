use std::{collections::BTreeMap, fmt, time::Duration};

use super::proxy::Befallen;

/// How long the relayer has, once everything works again, to bring all that it has accepted to its end.
const DRAIN: Duration = Duration::from_secs(60);

/// What came of a storm.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub submitted: u64,
    /// Requests that were answered 202, each once.
    pub acknowledged: u64,
    /// Requests that were answered by two identities for one idempotency key, or are listed though nobody asked.
    pub surplus: u64,
    pub finals: u64,
    pub failed: u64,
    /// The reasons of those that failed, and how many had each.
    pub reasons: BTreeMap<String, u64>,
    /// Requests that did not come to an end.
    pub stuck: u64,
    /// Requests that the chain has more than once.
    pub doubled: u64,
    /// Requests that are final, and that the chain does not have.
    pub lost: u64,
    /// Requests that are called failed, and that the chain has.
    pub denied: u64,
    /// Transactions of the other client that the chain took.
    pub foreign: u64,
    pub kills: u64,
    /// How often the node was restarted, stopped, or made to forget.
    pub upsets: u64,
    pub befallen: Befallen,
    /// From the first submission until the faults stopped.
    pub storm: Duration,
    /// From the end of the faults until all was done.
    pub drained: Duration,
    /// Whether the audit trail is whole at the end.
    pub is_whole: bool,
}

impl Tally {
    pub fn is_good(&self) -> bool {
        let wrong = self.surplus + self.stuck + self.doubled + self.lost + self.denied + self.failed;
        wrong == 0 && self.acknowledged == self.submitted && self.drained <= DRAIN && self.is_whole
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "submitted       {}", self.submitted)?;
        writeln!(f, "acknowledged    {}", self.acknowledged)?;
        writeln!(f, "surplus         {}", self.surplus)?;
        writeln!(f, "final           {}", self.finals)?;
        writeln!(f, "failed          {}", self.failed)?;
        for (reason, count) in &self.reasons {
            writeln!(f, "                {count} by: {reason}")?;
        }
        writeln!(f, "stuck           {}", self.stuck)?;
        writeln!(f, "doubled         {}", self.doubled)?;
        writeln!(f, "lost            {}", self.lost)?;
        writeln!(f, "denied          {}", self.denied)?;
        writeln!(f, "foreign         {}", self.foreign)?;
        writeln!(f, "kills           {}", self.kills)?;
        writeln!(f, "node upset      {}", self.upsets)?;
        writeln!(f, "faults injected {}", self.befallen)?;
        writeln!(f, "storm           {:.0} s", self.storm.as_secs_f64())?;
        writeln!(f, "drained after   {:.1} s", self.drained.as_secs_f64())?;
        write!(f, "audit trail     {}", if self.is_whole { "whole" } else { "BROKEN" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anything_lost_doubled_stuck_or_late_is_no_success() {
        let good = Tally { submitted: 5, acknowledged: 5, finals: 5, is_whole: true, ..Tally::default() };
        assert!(good.is_good());
        let worse: [fn(&mut Tally); 8] = [
            |tally| tally.acknowledged = 4,
            |tally| tally.surplus = 1,
            |tally| tally.failed = 1,
            |tally| tally.stuck = 1,
            |tally| tally.doubled = 1,
            |tally| tally.lost = 1,
            |tally| tally.drained = DRAIN + Duration::from_millis(1),
            |tally| tally.is_whole = false,
        ];
        for worsen in worse {
            let mut tally = good.clone();
            worsen(&mut tally);
            assert!(!tally.is_good(), "{tally}");
        }
    }
}
