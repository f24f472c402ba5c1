//! The metrics: stub.
use crate::server::ServerControl;
use axum::http::HeaderValue;
#[derive(Debug)]
pub(super) struct Scrape {
    _control: ServerControl,
}
impl Scrape {
    pub(super) const fn new(control: ServerControl) -> Self {
        Self { _control: control }
    }
    pub(super) fn answer(&self, _accept: Option<&HeaderValue>) -> (&'static str, String) {
        ("text/plain; version=0.0.4", String::new())
    }
}
