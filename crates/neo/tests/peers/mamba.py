"""neo-mamba, asked over JSON lines: one question a line, one answer a line, in order."""
import base64
import json
import sys
import time

from neo3 import vm
from neo3.contracts import callflags, manifest as manifests, nef as nefs, utils as contracts
from neo3.core import cryptography, serialization, types, utils
from neo3.network.payloads import transaction, verification
from neo3.wallet import scrypt_parameters, utils as addresses
from neo3.wallet.account import Account
from neo3.wallet.wallet import Wallet


def point(text):
    return cryptography.ECPoint.deserialize_from_bytes(bytes.fromhex(text))


def uint160(text):
    return types.UInt160.from_string(text.removeprefix('0x'))


def account(private_key=None, wif=None, address=None):
    if address is not None:
        found = addresses.address_to_script_hash(address)
        return {'script_hash': f'0x{found}', 'address': addresses.script_hash_to_address(found)}
    secret = bytes.fromhex(private_key) if wif is None else Account.private_key_from_wif(wif)
    public = cryptography.KeyPair(secret).public_key
    script = contracts.create_signature_redeemscript(public)
    found = utils.to_script_hash(script)
    return {
        'private_key': secret.hex(),
        'public_key': str(public),
        'verification_script': script.hex(),
        'script_hash': f'0x{found}',
        'address': addresses.script_hash_to_address(found),
    }


def multisig(threshold=None, public_keys=None, script=None):
    if script is None:
        verification_script = contracts.create_multisig_redeemscript(threshold, [point(key) for key in public_keys])
    else:
        verification_script = bytes.fromhex(script)
    is_multisig, most, keys = contracts.parse_as_multisig_contract(verification_script)
    assert is_multisig
    found = utils.to_script_hash(verification_script)
    return {
        'threshold': most,
        'public_keys': [str(key) for key in keys],
        'verification_script': verification_script.hex(),
        'script_hash': f'0x{found}',
        'address': addresses.script_hash_to_address(found),
    }


def encrypt(private_key, passphrase, scrypt):
    parameters = scrypt_parameters.ScryptParameters(**scrypt)
    return Account.private_key_to_nep2(bytes.fromhex(private_key), passphrase, parameters).decode()


def decrypt(nep2, passphrase, scrypt):
    parameters = scrypt_parameters.ScryptParameters(**scrypt)
    return Account.private_key_from_nep2(nep2, passphrase, parameters).hex()


def native(param):
    """The Python value that it takes for a typed parameter."""
    kind, value = param['type'], param['value']
    match kind:
        case 'Integer':
            return int(value)
        case 'ByteArray' | 'Signature':
            return base64.b64decode(value)
        case 'Hash160':
            return uint160(value)
        case 'Hash256':
            return types.UInt256.from_string(value.removeprefix('0x'))
        case 'PublicKey':
            return point(value)
        case 'Array':
            return [native(item) for item in value]
        case 'Map':
            return {native(entry['key']): native(entry['value']) for entry in value}
        case _:
            return value


def script(contract, method, flags, args):
    builder = vm.ScriptBuilder()
    allowed = callflags.CallFlags(flags)
    if args:
        builder.emit_contract_call_with_args(uint160(contract), method, [native(arg) for arg in args], allowed)
    else:
        builder.emit_contract_call(uint160(contract), method, allowed)
    return builder.to_array().hex()


def unsigned(tx):
    with serialization.BinaryWriter() as writer:
        tx.serialize_unsigned(writer)
        return writer.to_array()


def shown(tx):
    try:
        as_json = tx.to_json()
        json.dumps(as_json)
    except TypeError:
        # It has no JSON for the answers of oracles.
        as_json = None
    return {
        'unsigned': unsigned(tx).hex(),
        'signed': tx.to_array().hex(),
        'hash': f'0x{tx.hash()}',
        'size': len(tx),
        'json': as_json,
    }


def decode(hex):
    return shown(transaction.Transaction.deserialize_from_bytes(bytes.fromhex(hex)))


def encode(json):
    return shown(transaction.Transaction.from_json(json))


def sign(hex, private_key, magic):
    tx = transaction.Transaction.deserialize_from_bytes(bytes.fromhex(hex))
    message = magic.to_bytes(4, 'little') + tx.hash().to_array()
    return {'message': message.hex(), 'signature': cryptography.sign(message, bytes.fromhex(private_key)).hex()}


def verify(message, signature, public_key):
    data = (bytes.fromhex(text) for text in (message, signature, public_key))
    return cryptography.verify_signature(*data)


def open_wallet(json, passphrase):
    # Without a passphrase it forgets the key.
    opened = Wallet.from_json(json, [passphrase if one['key'] else None for one in json['accounts']])
    return [
        [one['address'], one['key'] and decrypt(one['key'], passphrase, opened.scrypt.to_json())]
        for one in opened.to_json()['accounts']
    ]


def make_wallet(name, scrypt, passphrase, private_keys, threshold, public_keys):
    parameters = scrypt_parameters.ScryptParameters(**scrypt)
    made = Wallet(name, scrypt_params=parameters)
    for key in private_keys:
        made.account_add(Account.from_private_key(bytes.fromhex(key), passphrase, parameters))
    made.import_multisig_address(threshold, [point(key) for key in public_keys])
    return made.to_json()


def nef(hex, sender, name):
    read = nefs.NEF.deserialize_from_bytes(bytes.fromhex(hex))
    found = contracts.get_contract_hash(uint160(sender), read.checksum, name)
    return {'bytes': read.to_array().hex(), 'checksum': read.compute_checksum(), 'hash': f'0x{found}'}


def manifest(json):
    return manifests.ContractManifest.from_json(json).to_json()


def speed(count, private_key, magic, signer, script):
    """Makes, signs and writes so many transactions; answers with the seconds that it took."""
    secret = bytes.fromhex(private_key)
    public = cryptography.KeyPair(secret).public_key
    written = 0
    start = time.perf_counter()
    for nonce in range(count):
        signers = [verification.Signer(uint160(signer), verification.WitnessScope.CALLED_BY_ENTRY)]
        tx = transaction.Transaction(0, nonce, 1000000, 1000000, 1000, [], signers, bytes.fromhex(script))
        message = magic.to_bytes(4, 'little') + tx.hash().to_array()
        push = vm.ScriptBuilder().emit_push(cryptography.sign(message, secret)).to_array()
        tx.witnesses.append(verification.Witness(push, contracts.create_signature_redeemscript(public)))
        written += len(tx.to_array())
    return {'seconds': time.perf_counter() - start, 'bytes': written}


ANSWERS = {
    call.__name__: call
    for call in (
        account,
        multisig,
        encrypt,
        decrypt,
        script,
        decode,
        encode,
        sign,
        verify,
        open_wallet,
        make_wallet,
        nef,
        manifest,
        speed,
    )
}

for line in sys.stdin:
    question = json.loads(line)
    try:
        answer = {'ok': ANSWERS[question.pop('op')](**question)}
    except Exception as error:
        answer = {'error': f'{type(error).__name__}: {error}'}
    print(json.dumps(answer), flush=True)
