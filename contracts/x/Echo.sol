// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

/// Gives back what it was given, by type: shows how arguments are read and results are shown.
contract Echo {
    struct Point {
        int256 x;
        int256 y;
    }

    struct Shape {
        string name;
        Point[] corners;
        bytes4 tag;
    }

    constructor(string memory) payable {}

    function boolean(bool value) external pure returns (bool) {
        return value;
    }

    function integers(uint256 a, int256 b, uint8 c, int64 d) external pure returns (uint256, int256, uint8, int64) {
        return (a, b, c, d);
    }

    function text(string calldata value) external pure returns (string memory) {
        return value;
    }

    function blob(bytes calldata value) external pure returns (bytes memory) {
        return value;
    }

    function fixedBlob(bytes32 a, bytes4 b) external pure returns (bytes32, bytes4) {
        return (a, b);
    }

    function account(address value) external pure returns (address) {
        return value;
    }

    function array(uint256[] calldata value) external pure returns (uint256[] memory) {
        return value;
    }

    function grid(int16[2][] calldata value) external pure returns (int16[2][] memory) {
        return value;
    }

    function shape(Shape calldata value) external pure returns (Shape memory named) {
        return value;
    }

    /// Two functions of one name.
    function twice(uint256 value) external pure returns (uint256) {
        return value * 2;
    }

    function twice(string calldata value) external pure returns (string memory) {
        return string.concat(value, value);
    }

    /// Gives back what was paid.
    function paid() external payable returns (uint256) {
        return msg.value;
    }
}
