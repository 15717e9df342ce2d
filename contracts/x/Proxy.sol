// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

/// Hands every call on to a contract that its admin may change (the slots of ERC-1967).
contract Proxy {
    bytes32 private constant IMPLEMENTATION = bytes32(uint256(keccak256("eip1967.proxy.implementation")) - 1);
    bytes32 private constant ADMIN = bytes32(uint256(keccak256("eip1967.proxy.admin")) - 1);

    event Upgraded(address indexed implementation);
    event AdminChanged(address previousAdmin, address newAdmin);

    error NotAdmin(address caller);
    error NoContract(address at);

    constructor(address implementation) {
        write(ADMIN, msg.sender);
        emit AdminChanged(address(0), msg.sender);
        set(implementation);
    }

    function upgradeTo(address implementation) external {
        if (msg.sender != read(ADMIN)) revert NotAdmin(msg.sender);
        set(implementation);
    }

    receive() external payable {
        forward();
    }

    fallback() external payable {
        forward();
    }

    function forward() private {
        address to = read(IMPLEMENTATION);
        assembly {
            calldatacopy(0, 0, calldatasize())
            let done := delegatecall(gas(), to, 0, calldatasize(), 0, 0)
            returndatacopy(0, 0, returndatasize())
            if iszero(done) { revert(0, returndatasize()) }
            return(0, returndatasize())
        }
    }

    function set(address implementation) private {
        if (implementation.code.length == 0) revert NoContract(implementation);
        write(IMPLEMENTATION, implementation);
        emit Upgraded(implementation);
    }

    function read(bytes32 slot) private view returns (address held) {
        assembly {
            held := sload(slot)
        }
    }

    function write(bytes32 slot, address value) private {
        assembly {
            sstore(slot, value)
        }
    }
}
