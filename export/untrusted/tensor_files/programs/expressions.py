"""Expressions of dimensions in an exported program: small arithmetic over symbols, nothing else.

torch hands them to sympy, which evaluates what it is given: a tower of powers, a symbol with a
name of a gigabyte, a shift by a billion. An exported CNN needs sums, products and rounded
divisions of its input's sizes.
"""

from __future__ import annotations

import ast
import re

_MAX_LENGTH = 4000
_MAX_NODES = 400
_MAX_NUMBER = 2**53
_MAX_EXPONENT = 4
"""A square image's pixels are a square; nobody counts in fifth powers."""

_CALLS = frozenset(
    (
        *("Symbol", "Integer", "Float", "Rational", "Add", "Mul", "Mod", "Max", "Min", "Abs"),
        *("FloorDiv", "CleanDiv", "ModularIndexing", "PythonMod", "CeilDiv", "CeilToInt"),
        *("FloorToInt", "IntTrueDiv", "FloatTrueDiv", "ToFloat", "TruncToInt", "RoundToInt"),
    )
)
_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.FloorDiv, ast.Div, ast.Mod, ast.USub, ast.UAdd)
_SYMBOL = re.compile(r"[A-Za-z_]\w{0,31}", re.ASCII)
_FREE_SYMBOL = re.compile(r"[su]\d{1,9}", re.ASCII)
_KEYWORDS = frozenset(("integer", "positive", "nonnegative", "negative", "real", "finite"))


def is_arithmetic(text: str) -> bool:
    """Whether ``text`` is a small sum of products over known symbolic functions, no more."""
    if len(text) > _MAX_LENGTH:
        return False
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    nodes = [node for node in ast.walk(tree.body) if not isinstance(node, ast.Load)]
    return len(nodes) <= _MAX_NODES and _is_term(tree.body)


def _is_term(node: ast.AST) -> bool:
    match node:
        case ast.Constant(value=value):
            return _is_number(value)
        case ast.Name(id=name):
            return bool(_FREE_SYMBOL.fullmatch(name))
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
            return _is_term(operand)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return _is_power(left, right)
        case ast.BinOp(left=left, op=operator, right=right):
            return isinstance(operator, _OPERATORS) and _is_term(left) and _is_term(right)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=keywords):
            return _is_call(name, arguments, keywords)
        case _:
            return False


def _is_call(name: str, arguments: list[ast.expr], keywords: list[ast.keyword]) -> bool:
    if name == "Symbol":
        return _is_symbol(arguments) and all(_is_assumption(keyword) for keyword in keywords)
    if keywords:
        return False
    if name == "Pow":
        return len(arguments) == 2 and _is_power(*arguments)
    if name == "Float":  # of the digits as text, and a precision
        return all(_is_term(each) or _is_digits(each) for each in arguments)
    return name in _CALLS and all(map(_is_term, arguments))


def _is_symbol(arguments: list[ast.expr]) -> bool:
    match arguments:
        case [ast.Constant(value=str(name))]:
            return bool(_SYMBOL.fullmatch(name))
        case _:
            return False


def _is_assumption(keyword: ast.keyword) -> bool:
    value = keyword.value
    return keyword.arg in _KEYWORDS and isinstance(value, ast.Constant) and value.value in (0, 1)


def _is_power(base: ast.AST, exponent: ast.AST) -> bool:
    """A small power of something without powers."""
    nested = any(_raises(node) for node in ast.walk(base))
    return not nested and _is_term(base) and _exponent(exponent) <= _MAX_EXPONENT


def _raises(node: ast.AST) -> bool:
    return isinstance(node, ast.Pow) or (isinstance(node, ast.Name) and node.id == "Pow")


def _exponent(node: ast.AST) -> float:
    """Return the absolute value of a literal exponent, infinity where it is none."""
    match node:
        case ast.Constant(value=int(value)):
            return abs(value)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _exponent(operand)
        case ast.Call(func=ast.Name(id="Integer"), args=[argument], keywords=[]):
            return _exponent(argument)
        case _:
            return float("inf")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and abs(value) <= _MAX_NUMBER


def _is_digits(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and bool(re.fullmatch(r"-?\d{1,20}(\.\d{1,40})?(e[-+]?\d{1,2})?", node.value))
    )
