//! Test runs: what a script would do now, or would have done after an older block.

use neo::{
    Hash160,
    stack::{Param, StackItem},
};
use serde_json::{Value, json};

use super::Client;
use crate::{
    error::Result,
    model::{At, Base64, InvocationResult, InvokeSigner},
};

impl Client {
    /// Runs a method of a contract, every signer taken at its word. With `diagnostics` the node also tells which
    /// contracts were called and what storage changed.
    pub async fn invoke_function(
        &self,
        contract: Hash160,
        method: &str,
        arguments: &[Param],
        signers: &[InvokeSigner],
        diagnostics: bool,
    ) -> Result<InvocationResult> {
        let params = [json!(contract), json!(method), json!(arguments), json!(signers), json!(diagnostics)];
        self.call("invokefunction", &params).await
    }

    /// Runs a script, every signer taken at its word.
    pub async fn invoke_script(
        &self,
        script: &[u8],
        signers: &[InvokeSigner],
        diagnostics: bool,
    ) -> Result<InvocationResult> {
        let params = [json!(Base64(script.to_vec())), json!(signers), json!(diagnostics)];
        self.call("invokescript", &params).await
    }

    /// Runs several scripts, each for itself, in as few requests as the node takes.
    pub async fn invoke_scripts(
        &self,
        scripts: &[(&[u8], &[InvokeSigner])],
        diagnostics: bool,
    ) -> Result<Vec<Result<InvocationResult>>> {
        let params = |(script, signers): &(&[u8], &[InvokeSigner])| {
            vec![json!(Base64(script.to_vec())), json!(signers), json!(diagnostics)]
        };
        let params: Vec<Vec<Value>> = scripts.iter().map(params).collect();
        self.batch("invokescript", &params).await
    }

    /// Runs the method `verify` of a contract, with the witnesses that the signers have.
    pub async fn invoke_contract_verify(
        &self,
        contract: Hash160,
        arguments: &[Param],
        signers: &[InvokeSigner],
    ) -> Result<InvocationResult> {
        self.call("invokecontractverify", &[json!(contract), json!(arguments), json!(signers)]).await
    }

    /// [`Client::invoke_function`] on the state after an older block (neo-go).
    pub async fn invoke_function_historic(
        &self,
        at: impl Into<At>,
        contract: Hash160,
        method: &str,
        arguments: &[Param],
        signers: &[InvokeSigner],
        diagnostics: bool,
    ) -> Result<InvocationResult> {
        let at = json!(at.into());
        let params = [at, json!(contract), json!(method), json!(arguments), json!(signers), json!(diagnostics)];
        self.call("invokefunctionhistoric", &params).await
    }

    /// [`Client::invoke_script`] on the state after an older block (neo-go).
    pub async fn invoke_script_historic(
        &self,
        at: impl Into<At>,
        script: &[u8],
        signers: &[InvokeSigner],
        diagnostics: bool,
    ) -> Result<InvocationResult> {
        let params = [json!(at.into()), json!(Base64(script.to_vec())), json!(signers), json!(diagnostics)];
        self.call("invokescripthistoric", &params).await
    }

    /// [`Client::invoke_contract_verify`] on the state after an older block (neo-go).
    pub async fn invoke_contract_verify_historic(
        &self,
        at: impl Into<At>,
        contract: Hash160,
        arguments: &[Param],
        signers: &[InvokeSigner],
    ) -> Result<InvocationResult> {
        let params = [json!(at.into()), json!(contract), json!(arguments), json!(signers)];
        self.call("invokecontractverifyhistoric", &params).await
    }

    /// The next `count` items of an iterator that a test run left in a session. Fewer come at its end.
    pub async fn traverse_iterator(&self, session: &str, iterator: &str, count: u32) -> Result<Vec<StackItem>> {
        self.call("traverseiterator", &[json!(session), json!(iterator), json!(count)]).await
    }

    /// Ends a session. False when there was none.
    pub async fn terminate_session(&self, session: &str) -> Result<bool> {
        Ok(super::known(self.call::<Value>("terminatesession", &[json!(session)]).await)?
            .is_some_and(|ended| ended == json!(true)))
    }
}
