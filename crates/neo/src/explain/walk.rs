//! One pass over a script that keeps the constants which were pushed without a break.

use std::collections::HashSet;

use num_bigint::BigInt;

use super::{
    Explanation, Line, Step,
    call::{Call, Knowledge, Then},
};
use crate::{
    hash::Hash160,
    script::{CallFlags, Instruction, Opcode, Shape, Syscall, check, instructions},
    stack::{MAX_DEPTH, StackItem},
};

/// A constant on the stack. All that made it, and nothing else, stands between `first` and the next constant.
struct Constant {
    item: StackItem,
    /// The number of the first instruction that made it.
    first: usize,
    depth: usize,
}

/// What a recognised call takes from the stack.
struct Target {
    first: usize,
    contract: Hash160,
    method: String,
    flags: CallFlags,
    args: Vec<StackItem>,
}

pub(super) fn walk(script: &[u8], known: &Knowledge<'_>) -> Explanation {
    let all: Vec<_> = instructions(script).map_while(Result::ok).collect();
    let mut steps = Vec::new();
    let mut stack = Vec::new();
    // Instructions before this one are told.
    let mut told = 0;
    let mut at = 0;
    while at < all.len() {
        let called = if all[at].syscall() == Some(Syscall::CONTRACT_CALL) { take_call(&mut stack) } else { None };
        let Some(Target { first, contract, method, flags, args }) = called else {
            if !push_constant(&all[at], at, &mut stack) {
                stack.clear();
            }
            at += 1;
            continue;
        };
        let mut call = Call::new(all[first].offset, contract, method, flags, args, known);
        let mut begin = first;
        at += 1;
        if let Some(end) = own_block(&all, first, at) {
            call.isolated = true;
            begin = first - 1;
            call.offset = all[begin].offset;
            at = end;
        } else {
            call.then = match all.get(at).map(|next| next.opcode) {
                Some(Opcode::ASSERT) => Then::Assert,
                Some(Opcode::DROP) => Then::Drop,
                _ => Then::Keep,
            };
            at += usize::from(call.then != Then::Keep);
        }
        show(&all[told..begin], &mut steps);
        steps.push(Step::Call(Box::new(call)));
        told = at;
        stack.clear();
    }
    // The end of a script is a return, whether it is written or not.
    let rest = match &all[told..] {
        [rest @ .., last] if last.opcode == Opcode::RET && last.end() == script.len() => rest,
        rest => rest,
    };
    show(rest, &mut steps);
    let flaw = check(script).err().map(|flaw| flaw.to_string());
    let complete = flaw.is_none() && steps.iter().all(|step| matches!(step, Step::Call(_)));
    let straight = flaw.is_none() && !turns(&all, &steps);
    Explanation { steps, straight, complete, flaw }
}

fn show(instructions: &[Instruction<'_>], steps: &mut Vec<Step>) {
    if !instructions.is_empty() {
        let line = |one: &Instruction<'_>| Line { offset: one.offset, text: one.to_string() };
        steps.push(Step::Instructions(instructions.iter().map(line).collect()));
    }
}

/// Whether an instruction that was not recognised can make another come next than the one that follows it.
fn turns(all: &[Instruction<'_>], steps: &[Step]) -> bool {
    let mut all = all.iter();
    steps.iter().filter_map(|step| if let Step::Instructions(lines) = step { Some(lines) } else { None }).flatten().any(
        |line| {
            all.find(|one| one.offset == line.offset).is_some_and(|one| match one.opcode {
                Opcode::PUSHA => false,
                Opcode::CALLA | Opcode::THROW | Opcode::RET | Opcode::ENDFINALLY => true,
                Opcode::ABORT | Opcode::ABORTMSG => true,
                opcode => matches!(opcode.shape(), Shape::Jump(_) | Shape::Try(_)),
            })
        },
    )
}

/// If the call that was made by `all[first..next]` stands in a block of its own as a batch makes it, where it ends.
fn own_block(all: &[Instruction<'_>], first: usize, next: usize) -> Option<usize> {
    let begin = all.get(first.checked_sub(1)?)?;
    let [yes, left, no, caught, two, pack] = all.get(next..next + 6)? else { return None };
    let leads = |from: &Instruction<'_>, to: &Instruction<'_>| from.destinations().eq([to.offset as i64]);
    let is = |one: &Instruction<'_>, short: Opcode, long: Opcode| one.opcode == short || one.opcode == long;
    let catches = signed_is_zero(begin) && is(begin, Opcode::TRY, Opcode::TRY_L) && leads(begin, no);
    let leaves = [left, caught].into_iter().all(|one| is(one, Opcode::ENDTRY, Opcode::ENDTRY_L) && leads(one, two));
    let plain = [(yes, Opcode::PUSHT), (no, Opcode::PUSHF), (two, Opcode::PUSH2), (pack, Opcode::PACK)];
    (catches && leaves && plain.iter().all(|(one, opcode)| one.opcode == *opcode)).then_some(next + 6)
}

/// Whether the second distance of a `TRY` is zero: it has no `finally`.
fn signed_is_zero(begin: &Instruction<'_>) -> bool {
    begin.operand[begin.operand.len() / 2..].iter().all(|byte| *byte == 0)
}

fn take_call(stack: &mut Vec<Constant>) -> Option<Target> {
    let (below, top) = stack.split_at_checked(stack.len().checked_sub(4)?)?;
    let [args, flags, method, contract] = top else { return None };
    let (StackItem::ByteString(contract), StackItem::ByteString(method)) = (&contract.item, &method.item) else {
        return None;
    };
    let StackItem::Integer(flags) = &flags.item else { return None };
    if !matches!(args.item, StackItem::Array(_)) {
        return None;
    }
    let contract = Hash160::from_le(contract.as_slice().try_into().ok()?);
    let method = String::from_utf8(method.clone()).ok()?;
    let flags = CallFlags::try_from(u8::try_from(flags).ok()?).ok()?;
    let at = below.len();
    let Constant { item: StackItem::Array(args), first, .. } = stack.drain(at..).next()? else { return None };
    Some(Target { first, contract, method, flags, args })
}

/// Does what the instruction does, if that only makes a constant of constants.
fn push_constant(instruction: &Instruction<'_>, number: usize, stack: &mut Vec<Constant>) -> bool {
    let item = match instruction.opcode {
        Opcode::PUSHT => StackItem::Boolean(true),
        Opcode::PUSHF => StackItem::Boolean(false),
        Opcode::PUSHNULL => StackItem::Null,
        Opcode::NEWARRAY0 => StackItem::Array(vec![]),
        Opcode::NEWSTRUCT0 => StackItem::Struct(vec![]),
        Opcode::NEWMAP => StackItem::Map(vec![]),
        Opcode::PACK | Opcode::PACKSTRUCT | Opcode::PACKMAP => {
            let packed = pack(instruction.opcode, stack);
            let made = packed.is_some();
            stack.extend(packed);
            return made;
        }
        _ => match (instruction.integer(), instruction.data()) {
            (Some(number), _) => StackItem::Integer(number),
            (None, Some(data)) => StackItem::ByteString(data.to_vec()),
            (None, None) => return false,
        },
    };
    stack.push(Constant { item, first: number, depth: 1 });
    true
}

fn pack(opcode: Opcode, stack: &mut Vec<Constant>) -> Option<Constant> {
    let count = stack.pop()?;
    let StackItem::Integer(size) = &count.item else { return None };
    let size = usize::try_from(BigInt::clone(size)).ok()?;
    let takes = if opcode == Opcode::PACKMAP { size.checked_mul(2)? } else { size };
    let from = stack.len().checked_sub(takes)?;
    let first = stack.get(from).map_or(count.first, |lowest| lowest.first);
    let depth = 1 + stack[from..].iter().map(|constant| constant.depth).max().unwrap_or_default();
    if depth > MAX_DEPTH {
        return None;
    }
    // The one on top comes first.
    let mut items = stack.drain(from..).rev().map(|constant| constant.item);
    let item = match opcode {
        Opcode::PACK => StackItem::Array(items.collect()),
        Opcode::PACKSTRUCT => StackItem::Struct(items.collect()),
        _ => {
            let mut entries = Vec::with_capacity(size);
            let mut keys = HashSet::with_capacity(size);
            while let (Some(key), Some(value)) = (items.next(), items.next()) {
                let simple = matches!(key, StackItem::Boolean(_) | StackItem::Integer(_) | StackItem::ByteString(_));
                // With one key twice the later value stays; nobody writes that, so it is not told as a constant.
                if !simple || !keys.insert(key.clone()) {
                    return None;
                }
                entries.push((key, value));
            }
            StackItem::Map(entries)
        }
    };
    Some(Constant { item, first, depth })
}
