use std::sync::Arc;

use arc_swap::ArcSwap;
use tracing::{
    Level, Metadata, Subscriber, callsite::rebuild_interest_cache, level_filters::LevelFilter, subscriber::Interest,
};
use tracing_subscriber::{Layer, filter::Targets, layer::Context};

/// Reads `info` or `info,nsl_storage=debug`.
pub fn parse_level(text: &str) -> Result<Targets, String> {
    // A bare word that is no level would be taken for a target, and silence everything else.
    let level = |word: &str| matches!(word.trim(), "off" | "error" | "warn" | "info" | "debug" | "trace");
    let known = |part: &str| part.split_once('=').map_or_else(|| level(part), |(_, word)| level(word));
    let targets = text.parse().ok().filter(|_| text.split(',').all(known));
    targets.ok_or_else(|| "wants error, warn, info, debug or trace, or target=level pairs".to_owned())
}

/// Lets through what the level allows, changeable while running. Our own spans pass down to `info`
/// (`debug` while traces are sent) whatever the level: a warning keeps the ids of its request, and
/// traces do not depend on the logs.
#[derive(Clone)]
pub(super) struct Gate {
    targets: Arc<ArcSwap<Targets>>,
    spans: Level,
}

impl Gate {
    pub(super) fn new(targets: Targets, traced: bool) -> Self {
        let spans = if traced { Level::DEBUG } else { Level::INFO };
        Self { targets: Arc::new(ArcSwap::from_pointee(targets)), spans }
    }

    pub(super) fn set(&self, targets: Targets) {
        self.targets.store(Arc::new(targets));
        rebuild_interest_cache();
    }

    fn lets_through(&self, metadata: &Metadata<'_>) -> bool {
        let ours = metadata.is_span() && *metadata.level() <= self.spans && metadata.target().starts_with("nsl");
        ours || self.targets.load().would_enable(metadata.target(), metadata.level())
    }

    fn hint(&self) -> LevelFilter {
        let targets = self.targets.load();
        let most = targets.iter().map(|(_, level)| level).chain(targets.default_level()).max();
        most.unwrap_or(LevelFilter::OFF).max(LevelFilter::from_level(self.spans))
    }
}

impl<S: Subscriber> Layer<S> for Gate {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.lets_through(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.lets_through(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.hint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_or_refused() {
        for good in ["info", "warn,nsl_storage=debug", "off"] {
            assert!(parse_level(good).is_ok(), "{good}");
        }
        for bad in ["", "loud", "info,nsl=loud", "nsl", "info,,"] {
            assert!(parse_level(bad).is_err(), "{bad}");
        }
    }
}
