//! Contracts of Neo X by their ABI: calls out of JSON, and results, events and errors into JSON.

use alloy_dyn_abi::{DynSolType, DynSolValue, EventExt, FunctionExt, JsonAbiExt};
use alloy_json_abi::{EventParam, Function, JsonAbi, Param};
use alloy_primitives::{B256, hex};
use nsl_core::{Error, Result};
use serde_json::{Map, Value};

use super::{
    abi_bounds::{check, is_plain},
    value::{arguments, to_json, type_of},
};
use crate::{
    chain::{Bytes, Fault},
    error::shown,
};

const CONSTRUCTOR: &str = "the constructor";

/// What can be asked of a contract.
#[derive(Clone, Debug)]
pub struct Abi(JsonAbi);

/// What a compiler puts out for one contract.
#[derive(Clone, Debug)]
pub struct Artefact {
    pub abi: Abi,
    /// The code that makes the contract; none in an ABI by itself.
    pub bytecode: Option<Vec<u8>>,
}

/// An event as its ABI names it.
#[derive(Clone, Debug, PartialEq)]
pub struct Named {
    pub name: String,
    /// Its parameters by name, or by place where they have none.
    pub values: Map<String, Value>,
}

impl Artefact {
    /// Reads the output of Hardhat, Foundry or solc, or an ABI by itself. Of several contracts in one output none can
    /// be chosen.
    pub fn read(json: &Value) -> Result<Self> {
        let bad = |why: &str| Error::invalid("chain.artefact_invalid", format!("the artefact of a contract: {why}"));
        if json.is_array() {
            return Ok(Self { abi: Abi::read(json)?, bytecode: None });
        }
        if let Some(files) = json.get("contracts").and_then(Value::as_object) {
            let contracts: Vec<_> = files.values().filter_map(Value::as_object).flatten().collect();
            let [(_, contract)] = contracts[..] else {
                let names: Vec<&str> = contracts.iter().map(|(name, _)| name.as_str()).collect();
                return Err(bad(&format!("it must hold one contract, and holds [{}]", shown(&names.join(", ")))));
            };
            return Self::read(contract);
        }
        let abi = Abi::read(json.get("abi").ok_or_else(|| bad("it has no \"abi\""))?)?;
        let code = json.pointer("/evm/bytecode").or_else(|| json.get("bytecode"));
        let code = code.map(|code| code.get("object").unwrap_or(code));
        let bytecode = match code {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) if text.contains("__") => {
                return Err(bad("its bytecode waits to be linked with libraries"));
            }
            Some(Value::String(text)) => {
                let digits = text.strip_prefix("0x").unwrap_or(text);
                let code = hex::decode(digits).map_err(|_| bad("its bytecode is not hex"))?;
                (!code.is_empty()).then_some(code)
            }
            Some(_) => return Err(bad("its bytecode is no text")),
        };
        Ok(Self { abi, bytecode })
    }

    /// What makes the contract: its code and the arguments of its constructor.
    pub fn deployment(&self, args: &[Value]) -> Result<Vec<u8>> {
        let mut code = self
            .bytecode
            .clone()
            .ok_or_else(|| Error::invalid("chain.artefact_invalid", "the artefact has no bytecode to deploy"))?;
        match &self.abi.0.constructor {
            Some(constructor) => {
                let values = arguments(CONSTRUCTOR, &constructor.inputs, args)?;
                code.extend(constructor.abi_encode_input_raw(&values).map_err(unfit)?);
            }
            None => drop(arguments(CONSTRUCTOR, &[], args)?),
        }
        Ok(code)
    }
}

impl Abi {
    pub fn read(json: &Value) -> Result<Self> {
        let abi: JsonAbi = serde_json::from_value(json.clone()).map_err(|error| {
            Error::invalid("chain.abi_invalid", "the ABI can't be read: it must be the array that a compiler makes")
                .because(error)
        })?;
        check(&abi)?;
        Ok(Self(abi))
    }

    /// The data of a call. `method` is a name, or a signature such as `f(uint256)` where names are shared.
    pub fn call(&self, method: &str, args: &[Value]) -> Result<Vec<u8>> {
        let function = self.function(method, args.len())?;
        let values = arguments(method, &function.inputs, args)?;
        function.abi_encode_input(&values).map_err(unfit)
    }

    /// What the call of a method with so many arguments gave back.
    pub fn outputs(&self, method: &str, count: usize, data: &[u8]) -> Result<Vec<Value>> {
        let function = self.function(method, count)?;
        let values = match is_plain(&function.outputs, data) {
            true => function.abi_decode_output(data).ok(),
            false => None,
        };
        let values = values.ok_or_else(|| {
            let why = if data.is_empty() { "nothing came back: is there a contract?" } else { "it is of other types" };
            let message = format!("what {} gave back can't be read by the ABI: {why}", shown(method));
            Error::invalid("chain.output_invalid", message)
        })?;
        Ok(values.iter().zip(&function.outputs).map(|(value, param)| to_json(value, &param.components)).collect())
    }

    /// Whether a method changes nothing (`view` or `pure`).
    pub fn is_read_only(&self, method: &str, count: usize) -> Result<bool> {
        use alloy_json_abi::StateMutability::{Pure, View};
        Ok(matches!(self.function(method, count)?.state_mutability, Pure | View))
    }

    /// The signatures of all methods.
    pub fn methods(&self) -> Vec<String> {
        self.0.functions().map(Function::signature).collect()
    }

    /// The first topic of the event with this name; none when there is no such event, or several.
    pub fn topic(&self, event: &str) -> Option<B256> {
        match &self.0.events.get(event)?[..] {
            [one] => Some(one.selector()),
            _ => None,
        }
    }

    /// A log by its name and parameters; none when the ABI has no event that fits. An indexed text, array or tuple is
    /// shown by its hash: no more of it is in a log.
    pub fn event(&self, topics: &[Bytes], data: &Bytes) -> Option<Named> {
        let topics: Vec<B256> =
            topics.iter().map(|topic| B256::try_from(&topic.0[..])).collect::<Result<_, _>>().ok()?;
        let first = topics.first()?;
        self.0.events().filter(|event| !event.anonymous && event.selector() == *first).find_map(|event| {
            is_plain(event.inputs.iter().filter(|param| !param.indexed), &data.0).then_some(())?;
            let decoded = event.decode_log_parts(topics.iter().copied(), &data.0).ok()?;
            let (mut indexed, mut body) = (decoded.indexed.iter(), decoded.body.iter());
            let mut values = Map::new();
            for (place, param) in event.inputs.iter().enumerate() {
                let value = if param.indexed { indexed.next()? } else { body.next()? };
                let shown = to_json(value, fields_of(param));
                values.insert(name_of(&param.name, place), shown);
            }
            Some(Named { name: event.name.clone(), values })
        })
    }

    /// A fault in words, with the contract's own errors by their names and values.
    pub fn explain(&self, fault: &Fault) -> String {
        fault.data.as_ref().and_then(|data| self.error(&data.0)).unwrap_or_else(|| fault.reason.clone())
    }

    /// An error of the contract's own, with its values by name.
    pub fn named_error(&self, data: &[u8]) -> Option<Named> {
        let (selector, rest) = data.split_first_chunk::<4>()?;
        self.0.errors().filter(|error| error.selector() == *selector).find_map(|error| {
            let values = decoded(error, rest)?;
            let fields = error.inputs.iter().enumerate().zip(&values);
            let values =
                fields.map(|((place, param), value)| (name_of(&param.name, place), to_json(value, &param.components)));
            Some(Named { name: error.name.clone(), values: values.collect() })
        })
    }

    /// The signature of the method that the first bytes of a call name.
    pub fn method_of(&self, input: &[u8]) -> Option<String> {
        let selector = input.get(..4)?;
        self.0.functions().find(|function| function.selector() == *selector).map(Function::signature)
    }

    fn error(&self, data: &[u8]) -> Option<String> {
        let (selector, rest) = data.split_first_chunk::<4>()?;
        self.0.errors().filter(|error| error.selector() == *selector).find_map(|error| {
            let values = decoded(error, rest)?;
            let parts: Vec<String> = values
                .iter()
                .zip(&error.inputs)
                .map(|(value, param)| {
                    let shown = plain(value, param);
                    if param.name.is_empty() { shown } else { format!("{}: {shown}", param.name) }
                })
                .collect();
            Some(shown(&format!("{}({})", error.name, parts.join(", "))))
        })
    }

    fn function(&self, method: &str, count: usize) -> Result<&Function> {
        let (name, signature) = match method.split_once('(') {
            Some((name, _)) => (name, Some(method.replace(' ', ""))),
            None => (method, None),
        };
        let none = || {
            Error::invalid("chain.method_unknown", format!("the ABI has no method {}", shown(method)))
                .detail("methods", self.methods())
        };
        let named = self.0.function(name).ok_or_else(none)?;
        let fitting: Vec<&Function> = match &signature {
            Some(signature) => named.iter().filter(|function| function.signature() == *signature).collect(),
            None if named.len() == 1 => named.iter().collect(),
            None => named.iter().filter(|function| function.inputs.len() == count).collect(),
        };
        match fitting[..] {
            [one] => Ok(one),
            [] => Err(none()),
            _ => Err(Error::invalid(
                "chain.method_ambiguous",
                format!("the ABI has several methods {}: name it by its signature", shown(method)),
            )
            .detail("methods", fitting.iter().map(|function| function.signature()).collect::<Vec<_>>())),
        }
    }
}

fn decoded(error: &alloy_json_abi::Error, data: &[u8]) -> Option<Vec<DynSolValue>> {
    is_plain(&error.inputs, data).then(|| error.abi_decode_input(data).ok()).flatten()
}

fn fields_of(param: &EventParam) -> &[Param] {
    &param.components
}

fn name_of(name: &str, place: usize) -> String {
    if name.is_empty() { place.to_string() } else { name.to_owned() }
}

fn plain(value: &DynSolValue, param: &Param) -> String {
    match to_json(value, &param.components) {
        Value::String(text) if type_of(param).is_ok_and(|kind| kind != DynSolType::String) => text,
        other => other.to_string(),
    }
}

fn unfit(error: alloy_dyn_abi::Error) -> Error {
    Error::invalid("chain.argument_invalid", "the arguments don't fit the ABI").because(anyhow::anyhow!("{error}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn abi() -> Abi {
        let uint = |name: &str| json!({"name": name, "type": "uint256"});
        Abi::read(&json!([
            {"type": "function", "name": "f", "stateMutability": "view", "inputs": [uint("a")], "outputs": [uint("")]},
            {"type": "function", "name": "f", "stateMutability": "nonpayable",
             "inputs": [uint("a"), {"name": "t", "type": "bytes"}], "outputs": []},
            {"type": "function", "name": "f", "stateMutability": "nonpayable",
             "inputs": [uint("a"), {"name": "t", "type": "string"}], "outputs": []},
            {"type": "function", "name": "mixed", "stateMutability": "pure",
             "inputs": [
                {"name": "p", "type": "tuple[]", "components": [
                    {"name": "who", "type": "address"}, {"name": "amount", "type": "int64"}]},
                {"name": "fixed", "type": "bytes4[2]"}, {"name": "raw", "type": "bytes"},
                {"name": "flag", "type": "bool"}, {"name": "text", "type": "string"}, {"name": "small", "type": "uint8"}],
             "outputs": [
                {"name": "p", "type": "tuple[]", "components": [
                    {"name": "who", "type": "address"}, {"name": "amount", "type": "int64"}]},
                {"name": "fixed", "type": "bytes4[2]"}, {"name": "raw", "type": "bytes"},
                {"name": "flag", "type": "bool"}, {"name": "text", "type": "string"}, {"name": "small", "type": "uint8"}]},
            {"type": "event", "name": "Moved", "anonymous": false, "inputs": [
                {"name": "from", "type": "address", "indexed": true}, {"name": "note", "type": "string", "indexed": true},
                {"name": "amount", "type": "uint256", "indexed": false}]},
            {"type": "error", "name": "TooLittle", "inputs": [uint("had"), {"name": "why", "type": "string"}]},
        ]))
        .unwrap()
    }

    fn mixed() -> Vec<Value> {
        vec![
            json!([{"who": "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", "amount": "-9223372036854775808"}]),
            json!(["0x01020304", "0xffffffff"]),
            json!("0x00ff"),
            json!(true),
            json!("grüß"),
            json!("255"),
        ]
    }

    #[test]
    fn values_of_all_kinds_come_back_as_they_went() {
        let data = abi().call("mixed", &mixed()).unwrap();
        assert_eq!(abi().outputs("mixed", 6, &data[4..]).unwrap(), mixed());
        let as_text = vec![
            json!("[[\"0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266\", -9223372036854775808]]"),
            json!("[\"0x01020304\", \"0xffffffff\"]"),
            json!("0x00ff"),
            json!("true"),
            json!("grüß"),
            json!(255),
        ];
        assert_eq!(abi().call("mixed", &as_text).unwrap(), data);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (place, wrong, path) in [
            (0, json!([["0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", "9223372036854775808"]]), "p[0].amount"),
            (0, json!([["0xF39Fd6e51aad88F6F4ce6aB8827279cffFb92266", "1"]]), "p[0].who"),
            (0, json!([{"who": "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", "sum": 1}]), "p[0]"),
            (1, json!(["0x01020304"]), "fixed"),
            (1, json!(["0x010203", "0x01020304"]), "fixed[0]"),
            (2, json!("0x0"), "raw"),
            (3, json!("yes"), "flag"),
            (4, json!(5), "text"),
            (5, json!(256), "small"),
            (5, json!(-1), "small"),
            (5, json!(1.5), "small"),
            (5, json!("1e3"), "small"),
            (5, json!(""), "small"),
        ] {
            let mut args = mixed();
            args[place] = wrong.clone();
            let error = abi().call("mixed", &args).unwrap_err();
            assert_eq!(error.slug, "chain.argument_invalid", "{wrong}");
            assert_eq!(error.details["argument"], path, "{wrong}");
        }
        let error = abi().call("mixed", &mixed()[..5]).unwrap_err();
        assert_eq!(error.slug, "chain.argument_count");
        assert!(error.message.starts_with("mixed takes 6 arguments (p: (address,int64)[], "), "{}", error.message);
        let mut args = mixed();
        args[3] = json!("yes");
        assert_eq!(
            abi().call("mixed", &args).unwrap_err().message,
            "argument 4 (flag, type bool) is given as \"yes\": write true or false"
        );
    }

    #[test]
    fn shared_names_are_told_apart() {
        let one = abi().call("f", &[json!("1")]).unwrap();
        assert_eq!(one, abi().call("f(uint256)", &[json!("0x1")]).unwrap());
        assert_eq!(abi().call("f", &[json!(1), json!("x")]).unwrap_err().slug, "chain.method_ambiguous");
        let text = abi().call("f(uint256, bytes)", &[json!(1), json!("x")]).unwrap();
        assert_eq!(text, abi().call("f(uint256,bytes)", &[json!(1), json!("0x78")]).unwrap());
        assert_eq!(abi().call("g", &[]).unwrap_err().slug, "chain.method_unknown");
        assert!(abi().is_read_only("f", 1).unwrap() && !abi().is_read_only("f(uint256,string)", 2).unwrap());
        assert_eq!(abi().outputs("f", 1, &[]).unwrap_err().slug, "chain.output_invalid");
    }

    #[test]
    fn events_and_errors_have_their_names() {
        let topic = abi().topic("Moved").unwrap();
        let who = "0x000000000000000000000000f39fd6e51aad88f6f4ce6ab8827279cfffb92266";
        let bytes = |text: &str| Bytes(hex::decode(text).unwrap());
        let hash = Bytes(vec![7; 32]);
        let named = abi().event(&[Bytes(topic.to_vec()), bytes(who), hash.clone()], &Bytes([0; 32].into())).unwrap();
        assert_eq!(named.name, "Moved");
        let want = json!({
            "from": "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", "note": hash.to_string(), "amount": "0"
        });
        assert_eq!(Value::Object(named.values), want);
        assert_eq!(abi().event(&[Bytes(topic.to_vec())], &Bytes::default()), None);

        let values = [DynSolValue::Uint(alloy_primitives::U256::from(5), 256), DynSolValue::String("a \"b\"".into())];
        let data = abi().0.errors["TooLittle"][0].abi_encode_input(&values).unwrap();
        let fault = super::super::revert::of_data(data);
        assert_eq!(abi().explain(&fault), r#"TooLittle(had: 5, why: "a \"b\"")"#);
        let named = abi().named_error(&fault.data.as_ref().unwrap().0).unwrap();
        assert_eq!((&*named.name, Value::Object(named.values)), ("TooLittle", json!({"had": "5", "why": "a \"b\""})));
        assert_eq!(abi().named_error(&[1, 2, 3, 4]), None);
        let call = abi().call("f(uint256)", &[json!(1)]).unwrap();
        assert_eq!(abi().method_of(&call).unwrap(), "f(uint256)");
        let other = Fault { reason: "out of gas".into(), data: None };
        assert_eq!(abi().explain(&other), "out of gas");
    }

    #[test]
    fn artefacts_of_each_compiler_read() {
        let abi = json!([{"type": "constructor", "stateMutability": "nonpayable",
            "inputs": [{"name": "n", "type": "uint256"}]}]);
        for artefact in [
            json!({"abi": abi, "bytecode": "0x6000"}),
            json!({"abi": abi, "bytecode": {"object": "0x6000"}}),
            json!({"abi": abi, "evm": {"bytecode": {"object": "6000"}}}),
            json!({"contracts": {"a.sol": {"A": {"abi": abi, "evm": {"bytecode": {"object": "6000"}}}}}}),
        ] {
            let read = Artefact::read(&artefact).unwrap();
            let code = read.deployment(&[json!(1)]).unwrap();
            assert_eq!((code.len(), &code[..2], code[33]), (34, &[0x60, 0][..], 1));
            assert!(read.deployment(&[]).is_err());
        }
        assert!(Artefact::read(&abi).unwrap().deployment(&[json!(1)]).is_err());
        for bad in [
            json!({"bytecode": "0x"}),
            json!({"abi": abi, "bytecode": "0x60__$aa$__"}),
            json!({"abi": {}, "bytecode": "0x60"}),
            json!({"contracts": {"a.sol": {"A": {"abi": abi}, "B": {"abi": abi}}}}),
        ] {
            assert_eq!(Artefact::read(&bad).unwrap_err().code, nsl_core::Code::Invalid, "{bad}");
        }
    }
}
