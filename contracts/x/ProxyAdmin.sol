// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

import "./Proxy.sol";

/// Stands between proxies and the one who may change what is behind them: makes them, and upgrades them.
contract ProxyAdmin {
    address public immutable owner;

    event Created(address proxy);

    error NotOwner(address caller);

    constructor() {
        owner = msg.sender;
    }

    function create(address implementation) external {
        emit Created(address(new Proxy(implementation)));
    }

    function upgrade(Proxy proxy, address implementation) external {
        if (msg.sender != owner) revert NotOwner(msg.sender);
        proxy.upgradeTo(implementation);
    }
}
