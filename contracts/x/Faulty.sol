// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

/// Fails in every way that a contract can, so that whoever calls it can show what they make of that.
contract Faulty {
    enum Colour {
        Red,
        Green
    }

    error Bare();
    error Refused(address caller, uint256 code, string reason);

    event Put(bytes32 key, bytes value);

    mapping(bytes32 => bytes) private entries;
    uint256[] private numbers;

    function put(bytes32 key, bytes memory value) public {
        entries[key] = value;
        emit Put(key, value);
    }

    function get(bytes32 key) external view returns (bytes memory) {
        return entries[key];
    }

    function requireThat(bool condition, string calldata reason) external pure {
        require(condition, reason);
    }

    function requireSilently(bool condition) external pure {
        require(condition);
    }

    function bareError() external pure {
        revert Bare();
    }

    function refuse(uint256 code, string calldata reason) external view {
        revert Refused(msg.sender, code, reason);
    }

    function putThenRefuse(bytes32 key, bytes calldata value, string calldata reason) external {
        put(key, value);
        revert Refused(msg.sender, value.length, reason);
    }

    /// Panics with 0x01.
    function assertThat(bool condition) external pure {
        assert(condition);
    }

    /// Panics with 0x11 when the sum is too large.
    function add(uint8 a, uint8 b) external pure returns (uint8) {
        return a + b;
    }

    /// Panics with 0x12 for zero.
    function divide(uint256 a, uint256 b) external pure returns (uint256) {
        return a / b;
    }

    /// Panics with 0x21 for a colour that does not exist.
    function colour(uint8 number) external pure returns (Colour) {
        return Colour(number);
    }

    /// Panics with 0x31: there is nothing to take.
    function pop() external {
        numbers.pop();
    }

    /// Panics with 0x32 beyond the end.
    function element(uint256[] calldata values, uint256 index) external pure returns (uint256) {
        return values[index];
    }

    /// An opcode that does not exist.
    function invalid() external pure {
        assembly {
            invalid()
        }
    }

    /// Ends when its gas does.
    function loop() external {
        while (true) {
            numbers.push(1);
        }
    }

    /// Calls another contract and survives its failure; what that one wrote is undone.
    function attempt(address to, bytes calldata data) external returns (bool done, bytes memory answer) {
        (done, answer) = to.call(data);
    }
}
