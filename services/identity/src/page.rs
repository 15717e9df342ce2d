//! Lists that are read a page at a time.

use nsl_api::Page;

pub(crate) const LONGEST_PAGE: u32 = 100;

/// Greater than every id: where a list starts that nothing precedes.
pub(crate) const ABOVE_ALL: &str = "~";

/// What a page shows of what was found, one more than fits being there if there is more, and where the next begins.
pub(crate) fn page<T>(mut items: Vec<T>, limit: u32, id: impl Fn(&T) -> String) -> Page<T> {
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next = items.last().filter(|_| more).map(id);
    Page { items, next }
}
