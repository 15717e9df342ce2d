// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

/// A key-value store that anyone may write to.
contract Store {
    struct Entry {
        string key;
        bytes value;
    }

    mapping(string => bytes) private entries;

    event Put(address indexed from, string key, bytes value);
    event Removed(address indexed from, string key);

    function version() public pure virtual returns (uint256) {
        return 1;
    }

    function put(string memory key, bytes memory value) public virtual {
        entries[key] = value;
        emit Put(msg.sender, key, value);
    }

    function putAll(Entry[] calldata all) external {
        for (uint256 i = 0; i < all.length; i++) {
            put(all[i].key, all[i].value);
        }
    }

    function get(string memory key) public view returns (bytes memory) {
        return entries[key];
    }

    function remove(string calldata key) external {
        delete entries[key];
        emit Removed(msg.sender, key);
    }
}
