use std::{cell::RefCell, sync::OnceLock};

use nsl_core::{Clock, SystemClock};
use opentelemetry::trace::TraceContextExt;
use tracing::{
    Dispatch, Event, Subscriber,
    dispatcher::WeakDispatch,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use crate::settings::LogFormat;

use super::{
    line::{self, Facts, Said, Speaker},
    writer::Sink,
};

/// Writes each event as one line, with the ids of the request that it belongs to.
pub(super) struct Log {
    pub(super) format: LogFormat,
    pub(super) speaker: Speaker,
    pub(super) sink: Sink,
    /// Set when traces are sent: then the ids of the current span are to be asked for.
    pub(super) traced: bool,
    pub(super) dispatch: OnceLock<WeakDispatch>,
}

impl Log {
    fn trace_ids(&self, span: &Id, facts: &mut Facts) {
        let Some(dispatch) = self.dispatch.get().filter(|_| self.traced).and_then(WeakDispatch::upgrade) else {
            return;
        };
        let Some(context) = tracing_opentelemetry::get_otel_context(span, &dispatch) else { return };
        let current = context.span().span_context().clone();
        if current.is_valid() {
            facts.trace_id = Some(current.trace_id().to_string());
            facts.span_id = Some(current.span_id().to_string());
        }
    }
}

impl<S> Layer<S> for Log
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        let _ = self.dispatch.set(dispatch.downgrade());
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut facts = Facts::default();
        attributes.record(&mut facts);
        if let (false, Some(span)) = (facts.is_empty(), context.span(id)) {
            span.extensions_mut().insert(facts);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let mut new = Facts::default();
        values.record(&mut new);
        if let (false, Some(span)) = (new.is_empty(), context.span(id)) {
            let mut extensions = span.extensions_mut();
            if let Some(facts) = extensions.get_mut::<Facts>() {
                new.fill(facts);
            }
            extensions.replace(new);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        thread_local! {
            static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
        }
        let mut said = Said::default();
        event.record(&mut said);
        if let Some(span) = context.event_span(event) {
            if said.facts.trace_id.is_none() {
                self.trace_ids(&span.id(), &mut said.facts);
            }
            for span in span.scope() {
                if let Some(facts) = span.extensions().get::<Facts>() {
                    said.facts.fill(facts);
                }
            }
        }
        let (at, metadata) = (SystemClock.now(), event.metadata());
        LINE.with_borrow_mut(|out| {
            out.clear();
            match self.format {
                LogFormat::Json => line::json(out, at, *metadata.level(), metadata.target(), &self.speaker, &said),
                LogFormat::Text => line::text(out, at, *metadata.level(), metadata.target(), &said),
            }
            self.sink.write(out);
        });
    }
}
