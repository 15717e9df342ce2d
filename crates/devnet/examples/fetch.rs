//! Downloads the programs of both nodes into the user's cache, unless they are there, and prints where.

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let cache = nsl_devnet::Cache::of_user()?;
    cache.fill().await?;
    println!("{}", cache.dir().display());
    Ok(())
}
