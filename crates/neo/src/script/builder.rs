//! Making scripts.

use num_bigint::BigInt;

use super::{CallFlags, MAX_INTEGER, MAX_ITEM, Opcode, Shape, Syscall, text::fixed};
use crate::{
    error::{Error, Result, malformed},
    hash::Hash160,
    stack::Param,
};

/// Makes a script.
///
/// Numbers, data and jumps take the shortest form there is, as nodes and the known clients write them. A mistake (an
/// integer beyond 256 bits, a label that stands nowhere) is told by [`finish`](Builder::finish).
#[derive(Clone, Debug, Default)]
pub struct Builder {
    parts: Vec<Part>,
    /// For each label, whether it was placed.
    labels: Vec<bool>,
    mistake: Option<Error>,
}

/// A place in a script that is being made: where jumps lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label(usize);

#[derive(Clone, Debug)]
enum Part {
    Bytes(Vec<u8>),
    /// The short form of an operation with distances to labels; `None` is the distance zero.
    Reach(Opcode, Vec<Option<Label>>),
    Place(Label),
}

impl Builder {
    /// An empty script.
    pub fn new() -> Self {
        Self::default()
    }

    /// An operation that nothing follows.
    pub fn op(&mut self, opcode: Opcode) -> &mut Self {
        self.op_with(opcode, &[])
    }

    /// An operation and what follows it, of data without its length.
    pub fn op_with(&mut self, opcode: Opcode, operand: &[u8]) -> &mut Self {
        match opcode.shape() {
            Shape::Data(prefix) if operand.len() <= MAX_ITEM && operand.len() as u64 >> (8 * prefix) == 0 => {
                let length = operand.len().to_le_bytes();
                self.raw(&[opcode.byte()]).raw(&length[..prefix]).raw(operand)
            }
            shape if shape.fixed() == Some(operand.len()) => self.raw(&[opcode.byte()]).raw(operand),
            _ => self.refuse(malformed("script", format!("{} bytes follow {opcode}", operand.len()))),
        }
    }

    /// Bytes of a script that was made elsewhere.
    pub fn raw(&mut self, script: &[u8]) -> &mut Self {
        match self.parts.last_mut() {
            Some(Part::Bytes(bytes)) => bytes.extend_from_slice(script),
            _ => self.parts.push(Part::Bytes(script.to_vec())),
        }
        self
    }

    /// Pushes an integer.
    pub fn int(&mut self, number: impl Into<BigInt>) -> &mut Self {
        let number = number.into();
        if let Ok(small) = i8::try_from(&number)
            && (-1..=16).contains(&small)
        {
            return self.raw(&[Opcode::PUSH0.byte().wrapping_add_signed(small)]);
        }
        for (power, opcode) in Opcode::ALL.iter().enumerate().take(6) {
            if let Some(bytes) = fixed(&number, 1 << power) {
                return self.op_with(*opcode, &bytes);
            }
        }
        let size = number.to_signed_bytes_le().len() as u64;
        self.refuse(Error::TooLarge { what: "integer", size, most: MAX_INTEGER as u64 })
    }

    /// Pushes true or false.
    pub fn bool(&mut self, value: bool) -> &mut Self {
        self.op(if value { Opcode::PUSHT } else { Opcode::PUSHF })
    }

    /// Pushes null.
    pub fn null(&mut self) -> &mut Self {
        self.op(Opcode::PUSHNULL)
    }

    /// Pushes data.
    pub fn bytes(&mut self, data: &[u8]) -> &mut Self {
        match data.len() {
            0..0x100 => self.op_with(Opcode::PUSHDATA1, data),
            0x100..0x1_0000 => self.op_with(Opcode::PUSHDATA2, data),
            0x1_0000..=MAX_ITEM => self.op_with(Opcode::PUSHDATA4, data),
            size => self.refuse(Error::TooLarge { what: "data", size: size as u64, most: MAX_ITEM as u64 }),
        }
    }

    /// Pushes a parameter of any type.
    pub fn push(&mut self, param: &Param) -> &mut Self {
        match param {
            Param::Null => self.null(),
            Param::Boolean(value) => self.bool(*value),
            Param::Integer(number) => self.int(number.clone()),
            Param::ByteArray(data) => self.bytes(data),
            Param::String(text) => self.bytes(text.as_bytes()),
            Param::Hash160(hash) => self.bytes(hash.as_le()),
            Param::Hash256(hash) => self.bytes(hash.as_le()),
            Param::PublicKey(key) => self.bytes(&key.to_bytes()),
            Param::Signature(signature) => self.bytes(signature),
            // As the reference node writes a parameter that is an empty list, and neon-js with it.
            Param::Array(items) if items.is_empty() => self.int(0).op(Opcode::PACK),
            Param::Array(items) => self.array(items),
            Param::Map(entries) => self.map(entries),
        }
    }

    /// Pushes an array. Items go last first, so that the first is on top when they are packed. An empty one is
    /// `NEWARRAY0`; within parameters, [`push`](Builder::push), it is written otherwise.
    pub fn array(&mut self, items: &[Param]) -> &mut Self {
        self.packed(items, Opcode::NEWARRAY0, Opcode::PACK)
    }

    /// Pushes a struct.
    pub fn structure(&mut self, items: &[Param]) -> &mut Self {
        self.packed(items, Opcode::NEWSTRUCT0, Opcode::PACKSTRUCT)
    }

    /// Pushes a map.
    pub fn map(&mut self, entries: &[(Param, Param)]) -> &mut Self {
        if entries.is_empty() {
            return self.op(Opcode::NEWMAP);
        }
        for (key, value) in entries.iter().rev() {
            self.push(value).push(key);
        }
        self.int(entries.len()).op(Opcode::PACKMAP)
    }

    fn packed(&mut self, items: &[Param], none: Opcode, some: Opcode) -> &mut Self {
        if items.is_empty() {
            return self.op(none);
        }
        for item in items.iter().rev() {
            self.push(item);
        }
        self.int(items.len()).op(some)
    }

    /// Makes a system call by its name; its arguments are on the stack.
    pub fn syscall(&mut self, name: &str) -> &mut Self {
        self.op_with(Opcode::SYSCALL, &Syscall::named(name).to_bytes())
    }

    /// Calls a method of a contract. What it returns is pushed; null if it returns nothing.
    pub fn call(&mut self, contract: &Hash160, method: &str, flags: CallFlags, args: &[Param]) -> &mut Self {
        self.array(args)
            .int(flags.bits())
            .bytes(method.as_bytes())
            .bytes(contract.as_le())
            .op_with(Opcode::SYSCALL, &Syscall::CONTRACT_CALL.to_bytes())
    }

    /// A new label, to be [placed](Builder::place) once.
    pub fn label(&mut self) -> Label {
        self.labels.push(false);
        Label(self.labels.len() - 1)
    }

    /// The label stands for what comes next.
    pub fn place(&mut self, label: Label) -> &mut Self {
        match self.labels.get_mut(label.0) {
            Some(placed @ false) => {
                *placed = true;
                self.parts.push(Part::Place(label));
                self
            }
            _ => self.refuse(malformed("script", "a label that is placed twice or is of another script")),
        }
    }

    /// A jump, a call, an `ENDTRY` or a `PUSHA` that leads to the label. Give the short form of the operation: it
    /// becomes the long one where the label is too far.
    pub fn jump(&mut self, opcode: Opcode, to: Label) -> &mut Self {
        match opcode.shape() {
            Shape::Jump(1) => self.parts.push(Part::Reach(opcode, vec![Some(to)])),
            Shape::Jump(_) if opcode == Opcode::PUSHA => self.parts.push(Part::Reach(opcode, vec![Some(to)])),
            _ => return self.refuse(malformed("script", format!("{opcode} is no short form of a jump"))),
        }
        self
    }

    /// Begins a block whose exceptions the handlers take. At least one must be there, or the VM faults.
    pub fn try_block(&mut self, catch: Option<Label>, finally: Option<Label>) -> &mut Self {
        if catch.is_none() && finally.is_none() {
            return self.refuse(malformed("script", "a TRY without a handler"));
        }
        self.parts.push(Part::Reach(Opcode::TRY, vec![catch, finally]));
        self
    }

    fn refuse(&mut self, mistake: Error) -> &mut Self {
        self.mistake.get_or_insert(mistake);
        self
    }

    /// The script. The first mistake that was made in building it is told here.
    pub fn finish(&self) -> Result<Vec<u8>> {
        if let Some(mistake) = &self.mistake {
            return Err(mistake.clone());
        }
        // All jumps begin short. One that does not reach becomes long, which moves what follows it; so again until
        // all reach. Jumps only grow, so this ends.
        let mut long = vec![false; self.parts.len()];
        loop {
            let places = self.places(&long);
            let mut grown = false;
            let mut script = Vec::new();
            for (index, part) in self.parts.iter().enumerate() {
                let Part::Reach(opcode, targets) = part else {
                    if let Part::Bytes(bytes) = part {
                        script.extend_from_slice(bytes);
                    }
                    continue;
                };
                let (opcode, size) = form(*opcode, long[index]);
                let start = script.len();
                script.push(opcode.byte());
                for target in targets {
                    let place = match target {
                        Some(label) => places
                            .get(label.0)
                            .copied()
                            .flatten()
                            .ok_or_else(|| malformed("script", "a label stands nowhere"))?,
                        None => start,
                    };
                    let distance = BigInt::from(place as i64 - start as i64);
                    match fixed(&distance, size) {
                        Some(bytes) => script.extend_from_slice(&bytes),
                        None if size == 1 => {
                            long[index] = true;
                            grown = true;
                            script.push(0);
                        }
                        None => return Err(malformed("script", "longer than a jump reaches")),
                    }
                }
            }
            if !grown {
                return Ok(script);
            }
        }
    }

    fn places(&self, long: &[bool]) -> Vec<Option<usize>> {
        let mut places = vec![None; self.labels.len()];
        let mut at = 0;
        for (part, long) in self.parts.iter().zip(long) {
            match part {
                Part::Bytes(bytes) => at += bytes.len(),
                Part::Reach(opcode, targets) => at += 1 + targets.len() * form(*opcode, *long).1,
                Part::Place(label) => places[label.0] = Some(at),
            }
        }
        places
    }
}

/// The operation and the size of each of its distances.
fn form(opcode: Opcode, long: bool) -> (Opcode, usize) {
    if opcode == Opcode::PUSHA {
        return (opcode, 4);
    }
    // Each long form has the number after its short one.
    match Opcode::from_byte(opcode.byte() + 1) {
        Some(wide) if long => (wide, 4),
        _ => (opcode, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{check, to_text};

    fn int(number: impl Into<BigInt>) -> String {
        hex::encode(Builder::new().int(number).finish().unwrap())
    }

    #[test]
    fn integers_take_the_shortest_form() {
        for (number, script) in [
            (-1_i128, "0f"),
            (0, "10"),
            (16, "20"),
            (17, "0011"),
            (-2, "00fe"),
            (127, "007f"),
            (-128, "0080"),
            (128, "018000"),
            (255, "01ff00"),
            (-129, "017fff"),
            (32768, "0200800000"),
            (0x80_0000, "0200008000"),
            (i128::from(i32::MAX), "02ffffff7f"),
            (i128::from(i32::MIN) - 1, "03ffffff7fffffffff"),
            (i128::from(i64::MIN), "030000000000000080"),
            (i128::from(i64::MAX) + 1, "0400000000000000800000000000000000"),
        ] {
            assert_eq!(int(number), script, "{number}");
        }
        let most: BigInt = (BigInt::from(1) << 255u32) - 1;
        assert_eq!(int(most.clone()), format!("05{}7f", "ff".repeat(31)));
        assert_eq!(int(-most.clone() - 1), format!("05{}80", "00".repeat(31)));
        assert!(Builder::new().int(most + 1).finish().is_err());
    }

    #[test]
    fn data_takes_the_length_it_needs() {
        for (size, head) in [(0, "0c00"), (255, "0cff"), (256, "0d0001"), (65535, "0dffff"), (65536, "0e00000100")] {
            let script = Builder::new().bytes(&vec![7; size]).finish().unwrap();
            assert_eq!(hex::encode(&script[..head.len() / 2]), head);
            assert_eq!(script.len(), head.len() / 2 + size);
        }
        assert!(Builder::new().bytes(&vec![0; MAX_ITEM + 1]).finish().is_err());
    }

    #[test]
    fn containers_are_laid_out_as_nodes_do() {
        let one = || Param::Integer(1.into());
        let mut builder = Builder::new();
        builder.map(&[(Param::String("a".into()), one()), (Param::String("b".into()), Param::Null)]);
        builder
            .structure(&[one(), Param::Boolean(true)])
            .map(&[])
            .structure(&[])
            .array(&[])
            .push(&Param::Array(vec![]));
        assert_eq!(hex::encode(builder.finish().unwrap()), "0b0c0162110c016112be081112bfc8c5c210c0");
    }

    #[test]
    fn jumps_are_short_where_they_reach_and_long_where_not() {
        for (gap, short) in [(125, true), (126, false)] {
            let mut builder = Builder::new();
            let (end, back) = (builder.label(), builder.label());
            builder.place(back).jump(Opcode::JMP, end).raw(&vec![Opcode::NOP.byte(); gap]).place(end);
            builder.op(Opcode::RET).jump(Opcode::PUSHA, back);
            let script = builder.finish().unwrap();
            let first = check(&script).unwrap()[0];
            assert_eq!(first.opcode == Opcode::JMP, short);
            assert_eq!(first.destinations().next(), Some((gap + if short { 2 } else { 5 }) as i64));
        }
    }

    #[test]
    fn one_jump_that_grows_can_make_another_grow() {
        let mut builder = Builder::new();
        let (far, end) = (builder.label(), builder.label());
        builder.jump(Opcode::JMP, end).jump(Opcode::JMPIF, far).raw(&[0x21; 123]).place(end).raw(&[0x21; 9]).place(far);
        builder.op(Opcode::RET);
        let script = builder.finish().unwrap();
        let opcodes: Vec<_> = check(&script).unwrap().iter().take(2).map(|one| one.opcode).collect();
        assert_eq!(opcodes, [Opcode::JMP_L, Opcode::JMPIF_L]);
    }

    #[test]
    fn handlers_lead_where_they_should() {
        let mut builder = Builder::new();
        let (catch, end) = (builder.label(), builder.label());
        builder.try_block(Some(catch), None).op(Opcode::NOP).jump(Opcode::ENDTRY, end);
        builder.place(catch).op(Opcode::DROP).jump(Opcode::ENDTRY, end).place(end).op(Opcode::RET);
        let text = to_text(&builder.finish().unwrap()).unwrap();
        assert_eq!(
            text,
            "0000: TRY @0006 -\n0003: NOP\n0004: ENDTRY @0009\n0006: DROP\n0007: ENDTRY @0009\n0009: RET\n"
        );
    }

    #[test]
    fn mistakes_are_told_at_the_end() {
        let mut builder = Builder::new();
        let label = builder.label();
        assert!(builder.jump(Opcode::JMP, label).finish().unwrap_err().to_string().contains("nowhere"));
        assert!(builder.place(label).finish().is_ok());
        assert!(builder.place(label).op(Opcode::RET).finish().is_err());
        assert!(Builder::new().jump(Opcode::JMP_L, label).finish().is_err());
        assert!(Builder::new().try_block(None, None).finish().is_err());
        assert!(Builder::new().op(Opcode::PUSHINT8).finish().is_err());
        assert!(Builder::new().op_with(Opcode::PUSHDATA1, &[0; 256]).finish().is_err());
    }
}
