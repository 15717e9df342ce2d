// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

import "./Store.sol";

/// Keeps what `Store` holds behind the same proxy, appends to values, and counts its writes.
contract StoreV2 is Store {
    uint256 public writes;

    function version() public pure override returns (uint256) {
        return 2;
    }

    function put(string memory key, bytes memory value) public override {
        writes++;
        super.put(key, value);
    }

    function append(string calldata key, bytes calldata more) external {
        put(key, bytes.concat(get(key), more));
    }
}
