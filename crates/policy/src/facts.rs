//! A question in the terms of the schema.

use std::{str::FromStr, sync::LazyLock};

use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression as Value,
};
use nsl_core::{Principal, PrincipalKind, Timestamp, judge::Question};

use crate::amount;

static SUBJECT: LazyLock<EntityTypeName> = LazyLock::new(|| name("Subject"));
static RESOURCE: LazyLock<EntityTypeName> = LazyLock::new(|| name("Resource"));
static ACTION: LazyLock<EntityTypeName> = LazyLock::new(|| name("Action"));

fn name(text: &str) -> EntityTypeName {
    EntityTypeName::from_str(text).expect("a fixed valid name")
}

fn uid(kind: &LazyLock<EntityTypeName>, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id((**kind).clone(), EntityId::new(id))
}

fn text(value: &str) -> Value {
    Value::new_string(value.to_owned())
}

/// What a judge of the language is asked.
pub(crate) fn ask(question: &Question<'_>, now: Timestamp) -> Result<(Request, Entities), String> {
    let (cx, facts) = (question.cx, question.facts);
    let subject = uid(&SUBJECT, cx.principal.subject.as_str());
    let resource = uid(&RESOURCE, facts.id);
    let entities = [caller(&subject, &cx.principal)?, thing(&resource, question)?];
    let entities = Entities::from_entities(entities, None).map_err(|error| error.to_string())?;
    let context = Context::from_pairs(circumstances(question, now)).map_err(|error| error.to_string())?;
    let request = Request::new(subject, uid(&ACTION, question.permission), resource, context, None);
    Ok((request.map_err(|error| error.to_string())?, entities))
}

fn kind(principal: &Principal) -> &'static str {
    match principal.kind {
        PrincipalKind::Token if principal.session.is_some() && principal.actor.is_none() => "person",
        PrincipalKind::Token if principal.actor.is_some() => "client",
        PrincipalKind::Token => "token",
        PrincipalKind::ApiKey => "api_key",
        PrincipalKind::Certificate => "certificate",
        PrincipalKind::Anonymous | PrincipalKind::System => "",
    }
}

fn caller(subject: &EntityUid, principal: &Principal) -> Result<Entity, String> {
    let mut attributes = Vec::with_capacity(4);
    attributes.push(("kind".to_owned(), text(kind(principal))));
    attributes.push(("credential".to_owned(), text(&principal.credential)));
    attributes.push(("scopes".to_owned(), Value::new_set(principal.scopes.iter().map(|scope| text(scope)))));
    if let Some(actor) = &principal.actor {
        attributes.push(("actor".to_owned(), Value::new_entity_uid(uid(&SUBJECT, actor.as_str()))));
    }
    Entity::new(subject.clone(), attributes.into_iter().collect(), Default::default())
        .map_err(|error| error.to_string())
}

fn thing(resource: &EntityUid, question: &Question<'_>) -> Result<Entity, String> {
    let facts = question.facts;
    let mut attributes = Vec::with_capacity(3);
    attributes.push(("kind".to_owned(), text(facts.kind)));
    attributes.push(("id".to_owned(), text(facts.id)));
    if let Some(owner) = facts.owner {
        attributes.push(("owner".to_owned(), Value::new_entity_uid(uid(&SUBJECT, owner))));
    }
    let tags = facts.tags.iter().map(|(name, value)| (name.clone(), text(value)));
    Entity::new_with_tags(resource.clone(), attributes, [], tags).map_err(|error| error.to_string())
}

fn circumstances(question: &Question<'_>, now: Timestamp) -> Vec<(String, Value)> {
    const HOUR: i64 = 3_600_000_000;
    let (cx, facts) = (question.cx, question.facts);
    let (hours, days) = (now.0.div_euclid(HOUR), now.0.div_euclid(24 * HOUR));
    let mut pairs = Vec::with_capacity(9);
    let mut say = |name: &str, value: Value| pairs.push((name.to_owned(), value));
    // The language knows milliseconds.
    let mut time = now.rfc3339();
    time.truncate(23);
    time.push('Z');
    say("now", Value::new_datetime(time));
    say("hour", Value::new_long(hours.rem_euclid(24)));
    // 1970-01-01 was a Thursday.
    say("weekday", Value::new_long((days + 3).rem_euclid(7) + 1));
    if let Some(ip) = cx.source.ip {
        // An IPv4 address that came over an IPv6 socket is the address that people write into policies.
        say("ip", Value::new_ip(ip.to_canonical().to_string()));
    }
    if let Some(amount) = facts.amount {
        say("amount", Value::new_long(amount::units(amount)));
    }
    for (name, fact) in [("chain", facts.chain), ("contract", facts.contract), ("method", facts.method)] {
        if let Some(fact) = fact {
            say(name, text(fact));
        }
    }
    if let Some(at) = cx.principal.second_factor_at {
        let age = now.since(at).as_secs();
        say("second_factor_age_s", Value::new_long(age.try_into().unwrap_or(i64::MAX)));
    }
    pairs
}
