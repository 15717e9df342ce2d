use std::time::Duration;

use axum::http::Method;
use metrics::{Counter, Gauge, Histogram};
use parking_lot::RwLock;

/// Method and status.
type Outcome = (&'static str, u16);

/// The numbers of one route. Handles are made once for each outcome: a request looks two words up.
pub(crate) struct Meter {
    service: &'static str,
    route: String,
    outcomes: RwLock<Vec<(Outcome, Counter, Histogram)>>,
    active: Gauge,
}

impl Meter {
    pub(crate) fn new(service: &'static str, route: &str) -> Self {
        let active = metrics::gauge!("api_active_connections", "service" => service);
        Self { service, route: route.to_owned(), outcomes: RwLock::default(), active }
    }

    /// Counts a request as active until it is told or dropped; a client that goes away counts as 499.
    pub(crate) fn enter(&self, method: &Method, started: tokio::time::Instant) -> Active<'_> {
        self.active.increment(1.0);
        Active { meter: self, method: method_name(method), started, status: 499 }
    }

    fn count(&self, method: &'static str, status: u16, took: Duration) {
        let wanted = (method, status);
        {
            let outcomes = self.outcomes.read();
            if let Some((_, counter, histogram)) = outcomes.iter().find(|(outcome, ..)| *outcome == wanted) {
                counter.increment(1);
                histogram.record(took.as_secs_f64());
                return;
            }
        }
        let (counter, histogram) = self.handles(method, status);
        counter.increment(1);
        histogram.record(took.as_secs_f64());
        let mut outcomes = self.outcomes.write();
        if !outcomes.iter().any(|(outcome, ..)| *outcome == wanted) {
            outcomes.push((wanted, counter, histogram));
        }
    }

    fn handles(&self, method: &'static str, status: u16) -> (Counter, Histogram) {
        let (service, route) = (self.service, self.route.clone());
        let counter = metrics::counter!(
            "http_requests_total",
            "service" => service, "method" => method, "route" => route.clone(), "status" => status.to_string()
        );
        let histogram = metrics::histogram!(
            "http_request_duration_seconds", "service" => service, "method" => method, "route" => route
        );
        (counter, histogram)
    }
}

/// A request under way.
pub(crate) struct Active<'a> {
    meter: &'a Meter,
    method: &'static str,
    started: tokio::time::Instant,
    status: u16,
}

impl Active<'_> {
    /// Notes the outcome; returns how long it took.
    pub(crate) fn end(mut self, status: u16) -> Duration {
        self.status = status;
        self.started.elapsed()
    }
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.meter.active.decrement(1.0);
        self.meter.count(self.method, self.status, self.started.elapsed());
    }
}

/// Methods that strangers make up would make up metrics, too.
pub(crate) fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "OTHER",
    }
}
