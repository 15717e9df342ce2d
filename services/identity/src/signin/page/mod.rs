//! The page that people sign in with: one document, one script, one style sheet, all from here and nothing inline. It
//! uses the same routes as everybody else, and keeps tokens out of addresses and out of what outlives the tab.

mod http;

pub(crate) use http::face;
