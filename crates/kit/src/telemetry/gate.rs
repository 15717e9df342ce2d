use tracing_subscriber::filter::Targets;

/// Reads `info` or `info,nsl_storage=debug`.
pub fn parse_level(text: &str) -> Result<Targets, String> {
    text.parse().map_err(|_| "wants error, warn, info, debug or trace, or target=level pairs".to_owned())
}
