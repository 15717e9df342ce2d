//! JSON to contract parameters, by the types of a manifest.

use neo::{
    manifest::{Manifest, Method, Parameter},
    stack::Param,
};
use nsl_core::{Error, Result};
use serde_json::Value;

use crate::{
    argument::{listed, miscounted, misfit},
    error::shown,
};

/// The method of a manifest that takes so many arguments.
pub fn method<'a>(manifest: &'a Manifest, name: &str, count: usize) -> Result<&'a Method> {
    let named: Vec<&Method> = manifest.abi.methods.iter().filter(|method| method.name == name).collect();
    if named.is_empty() {
        let known: Vec<&str> = manifest.abi.methods.iter().map(|method| method.name.as_str()).collect();
        return Err(Error::invalid("chain.method_unknown", format!("the manifest has no method {}", shown(name)))
            .detail("methods", known));
    }
    named.iter().find(|method| method.parameters.len() == count).copied().ok_or_else(|| {
        let takes: Vec<String> = named.iter().map(|method| parameters(&method.parameters)).collect();
        miscounted(count, name, &takes.join(" or "))
    })
}

fn parameters(all: &[Parameter]) -> String {
    listed(all.iter().map(|one| (&one.name, format!("{:?}", one.kind))))
}

/// The arguments of a method. A text is read as its type says: `0x` and hex as bytes, other text for bytes as UTF-8,
/// addresses for accounts, JSON for arrays and maps. Other JSON is read like its text.
pub fn arguments(method: &Method, args: &[Value]) -> Result<Vec<Param>> {
    if method.parameters.len() != args.len() {
        return Err(miscounted(args.len(), &method.name, &parameters(&method.parameters)));
    }
    let each = (1..).zip(method.parameters.iter().zip(args)).map(|(number, (parameter, arg))| {
        let text = match arg {
            // As the VM has it: nothing, whatever the type.
            Value::Null => return Ok(Param::Null),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let kind = format!("{:?}", parameter.kind);
        Param::parse(parameter.kind, &text).map_err(|error| {
            let why = error.to_string();
            // The type is told already.
            let why = why.strip_prefix("argument: ").unwrap_or(&why);
            let why = why.strip_prefix("of type ").unwrap_or(why);
            let why = why.strip_prefix(&format!("{kind}: ")).unwrap_or(why);
            let name = if parameter.name.is_empty() { number.to_string() } else { parameter.name.clone() };
            misfit(number, &name, &kind, arg, why)
        })
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn manifest() -> Manifest {
        let parameter = |name: &str, kind: &str| json!({"name": name, "type": kind});
        let method = |name: &str, parameters: Value| json!({"name": name, "parameters": parameters, "returntype": "Void", "offset": 0, "safe": false});
        serde_json::from_value(json!({
            "name": "T", "groups": [], "features": {}, "supportedstandards": [], "permissions": [], "trusts": [],
            "extra": null,
            "abi": {"events": [], "methods": [
                method("put", json!([parameter("key", "ByteArray"), parameter("n", "Integer")])),
                method("put", json!([parameter("key", "ByteArray")])),
                method("all", json!([parameter("who", "Hash160"), parameter("list", "Array"), parameter("yes", "Boolean")])),
            ]},
        }))
        .unwrap()
    }

    #[test]
    fn arguments_are_typed_by_the_manifest() {
        let manifest = manifest();
        let put = method(&manifest, "put", 2).unwrap();
        let args = arguments(put, &[json!("0x01ff"), json!("-12345678901234567890")]).unwrap();
        assert_eq!(args[0], Param::ByteArray(vec![1, 255]));
        assert_eq!(args[1], arguments(put, &[json!(""), json!("-12345678901234567890")]).unwrap()[1]);
        assert_eq!(arguments(put, &[json!("text"), json!(7)]).unwrap()[0], Param::ByteArray(b"text".to_vec()));
        assert_eq!(arguments(put, &[json!(null), json!(7)]).unwrap()[0], Param::Null);
        let all = method(&manifest, "all", 3).unwrap();
        let args =
            arguments(all, &[json!("NMmRQvG4qsPMSmm1gun2LfNAXFAFnTMpxU"), json!([1, "x"]), json!(true)]).unwrap();
        assert!(
            matches!((&args[0], &args[1], &args[2]), (Param::Hash160(_), Param::Array(items), Param::Boolean(true)) if items.len() == 2)
        );
        for (slug, found) in [
            ("chain.argument_invalid", arguments(put, &[json!("x"), json!("1.5")]).unwrap_err()),
            ("chain.argument_count", arguments(put, &[json!("x")]).unwrap_err()),
            ("chain.argument_count", method(&manifest, "put", 3).unwrap_err()),
            ("chain.method_unknown", method(&manifest, "get", 1).unwrap_err()),
        ] {
            assert_eq!(found.slug, slug);
        }
        for (said, found) in [
            (
                "argument 2 (n, type Integer) is given as \"1.5\": ",
                arguments(put, &[json!("x"), json!("1.5")]).unwrap_err(),
            ),
            (
                "argument 1 (who, type Hash160) is given as \"none\": not ",
                arguments(all, &[json!("none"), json!([]), json!("yes")]).unwrap_err(),
            ),
            (
                "argument 3 (yes, type Boolean) is given as \"yes\": neither true nor false",
                arguments(all, &[json!(null), json!([]), json!("yes")]).unwrap_err(),
            ),
            (
                "put takes 2 arguments (key: ByteArray, n: Integer) or 1 argument (key: ByteArray), and 3 were given",
                method(&manifest, "put", 3).unwrap_err(),
            ),
        ] {
            assert!(found.message.starts_with(said), "{}", found.message);
        }
    }
}
