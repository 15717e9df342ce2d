// Compiles every contract of this directory and writes NAME.json with `abi` and `bytecode` to the given one.
// Usage: node compile.js PATH_OF_SOLC OUTPUT
const fs = require("fs");
const path = require("path");

const [solcPath, output] = process.argv.slice(2);
const solc = require(path.resolve(solcPath));
const names = fs.readdirSync(__dirname).filter((file) => file.endsWith(".sol"));
const read = (file) => fs.readFileSync(path.join(__dirname, file), "utf8");

const settings = {
  // Neo X documents differ in the fork that it is at; all have Paris.
  evmVersion: "paris",
  optimizer: { enabled: true, runs: 200 },
  // No hash of the sources at the end of the code: a comment changes nothing.
  metadata: { bytecodeHash: "none", appendCBOR: false },
  outputSelection: { "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"] } },
};
const sources = Object.fromEntries(names.map((file) => [file, { content: read(file) }]));
const compiled = JSON.parse(solc.compile(JSON.stringify({ language: "Solidity", sources, settings })));

for (const problem of compiled.errors ?? []) console.error(problem.formattedMessage);
if (compiled.errors?.length) process.exit(1);

for (const [sourceName, contracts] of Object.entries(compiled.contracts)) {
  for (const [contractName, contract] of Object.entries(contracts)) {
    const artefact = {
      contractName,
      sourceName,
      compiler: `solc ${solc.version()}, ${settings.evmVersion}, optimizer ${settings.optimizer.runs}`,
      abi: contract.abi,
      bytecode: "0x" + contract.evm.bytecode.object,
      deployedBytecode: "0x" + contract.evm.deployedBytecode.object,
    };
    fs.writeFileSync(path.join(output, `${contractName}.json`), JSON.stringify(artefact, null, 2) + "\n");
  }
}
