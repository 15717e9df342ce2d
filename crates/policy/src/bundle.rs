use std::fmt::Write;

/// All policies of a tenant as one text, each named by an annotation. The texts are such that [`crate::check`] took
/// each of them by itself.
pub fn bundle<'a>(policies: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = String::new();
    for (name, policy) in policies {
        // The line break ends a comment that the text may end with.
        writeln!(text, "@id(\"{name}\")\n{policy}").expect("a string takes what is written to it");
    }
    text
}
