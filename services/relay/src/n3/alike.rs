//! Whether two runs of a script did the same.

use neo::stack::StackItem;
use nsl_chain::n3::{InvocationResult, Notification, Shown};

/// Without `is_exact` values are left out of the comparison.
pub(super) fn same(one: &InvocationResult, other: &InvocationResult, is_exact: bool) -> bool {
    let told = |one: &Notification, other: &Notification| {
        one.contract == other.contract
            && one.name == other.name
            && (!is_exact || alike(&one.state, &other.state, item_alike))
    };
    one.state == other.state
        && one.notifications.len() == other.notifications.len()
        && one.notifications.iter().zip(&other.notifications).all(|(one, other)| told(one, other))
        && (!is_exact || alike(&one.stack, &other.stack, |one, other| items_alike(one, other)))
}

fn alike<T>(one: &Shown<T>, other: &Shown<T>, known: impl Fn(&T, &T) -> bool) -> bool {
    match (one, other) {
        (Shown::Known(one), Shown::Known(other)) => known(one, other),
        (Shown::Unshown(one), Shown::Unshown(other)) => one == other,
        _ => false,
    }
}

fn items_alike(one: &[StackItem], other: &[StackItem]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| item_alike(one, other))
}

/// Iterators have names that only the run knows in which they were made.
fn item_alike(one: &StackItem, other: &StackItem) -> bool {
    use StackItem::{Array, InteropInterface, Map, Struct};
    match (one, other) {
        (InteropInterface(one), InteropInterface(other)) => {
            one.truncated == other.truncated
                && match (&one.items, &other.items) {
                    (Some(one), Some(other)) => items_alike(one, other),
                    (None, None) => true,
                    _ => false,
                }
        }
        (Array(one), Array(other)) | (Struct(one), Struct(other)) => items_alike(one, other),
        (Map(one), Map(other)) => {
            let pair = |(one, other): (&(StackItem, StackItem), &(StackItem, StackItem))| {
                item_alike(&one.0, &other.0) && item_alike(&one.1, &other.1)
            };
            one.len() == other.len() && one.iter().zip(other).all(pair)
        }
        (one, other) => one == other,
    }
}
