"""An account that is a contract: it holds GAS and pays for transactions that its owner signs beside it."""
from typing import Any

from boa3.sc import storage
from boa3.sc.compiletime import NeoMetadata, public
from boa3.sc.runtime import check_witness, script_container
from boa3.sc.types import UInt160

OWNER = b'owner'


def metadata() -> NeoMetadata:
    meta = NeoMetadata()
    meta.name = 'Payer'
    meta.description = 'Pays for what its owner signs'
    return meta


@public
def _deploy(data: Any, update: bool):
    if not update:
        storage.put_uint160(OWNER, script_container.sender)


@public(safe=True)
def verify() -> bool:
    return check_witness(storage.get_uint160(OWNER))


@public(name='onNEP17Payment')
def on_nep17_payment(from_address: UInt160 | None, amount: int, data: Any):
    pass
