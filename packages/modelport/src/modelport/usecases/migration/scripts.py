"""Reads Python code: follows names of v1 through imports, assignments, calls and loops, and notes each use."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable

from modelport.usecases.compatibility import Status, TypeName
from modelport.usecases.migration.expressions import USUAL, ExpressionReader
from modelport.usecases.migration.names import Names
from modelport.usecases.migration.scopes import InnerScope, Scope
from modelport.usecases.migration.sources import Code
from modelport.usecases.migration.values import Function, Instance, Module, Unknown, Value, element_of

Exports = Callable[[str], "Scope | None"]
"""What a module of the project defines; None where it is none of the project's."""


class ScriptReader(ExpressionReader):
    """Reads one namespace. ``findings`` and ``commands`` fill while it reads."""

    def __init__(self, code: Code, names: Names, exports: Exports) -> None:
        super().__init__(code, names)
        self.scope: Scope = {}
        self._exports = exports
        self._read: dict[ast.AST, Value] = {}
        self._returned: list[Value] = []

    def read(self) -> None:
        """Read it all. Raises SyntaxError where it is not Python 3."""
        tree = ast.parse(self._code.text)
        self._statements(tree.body, self.scope)
        self._uncalled(self.scope)
        self._entry_script(tree)

    def _uncalled(self, scope: Scope) -> None:
        """The functions that nobody called where they are defined."""
        for value in list(scope.values()):
            if isinstance(value, Function) and value.reader is self:
                self.call_function(value, [], {})

    # --- statements ---------------------------------------------------------------------------------------------------

    def _statements(self, body: Iterable[ast.stmt], scope: Scope) -> None:
        for statement in body:
            reader = getattr(self, f"_{type(statement).__name__.lower()}", None)
            if reader is not None:
                reader(statement, scope)
            else:
                self._parts(statement, scope)

    def _parts(self, node: ast.AST, scope: Scope) -> None:
        """The expressions of a statement, then the statements within it."""
        for part in ast.iter_child_nodes(node):
            if isinstance(part, ast.expr):
                self._evaluate(part, scope)
            elif isinstance(part, ast.stmt):
                self._statements([part], scope)
            else:
                self._parts(part, scope)

    def _import(self, node: ast.Import, scope: Scope) -> None:
        for alias in node.names:
            top = alias.name.split(".")[0]
            if top == "azureml":
                if not self._names.has_module(alias.name):
                    self._note_unknown(node, alias.name)
                scope[alias.asname or top] = Module(alias.name if alias.asname else top)
            elif top == "azure" and alias.name.startswith("azure.ai.ml"):
                self._note_second_version(node, alias.name)

    def _importfrom(self, node: ast.ImportFrom, scope: Scope) -> None:
        module = node.module or ""
        if module == "azureml" or module.startswith("azureml."):
            self._import_names(node, module, scope)
        elif module.startswith("azure.ai.ml"):
            self._note_second_version(node, module)
        elif module == "sklearn.externals" and any(alias.name == "joblib" for alias in node.names):
            note = "works in services; where scikit-learn has it no more (since 0.23), joblib itself is taken"
            self._note(node, "from sklearn.externals import joblib", Status.SAME, note)
        else:
            exported = self._exports(module) or {}
            for alias in node.names:
                if alias.name == "*":
                    scope.update(exported)
                else:
                    scope[alias.asname or alias.name] = exported.get(alias.name)

    def _import_names(self, node: ast.ImportFrom, module: str, scope: Scope) -> None:
        if not self._names.has_module(module):
            self._note_unknown(node, module)
            return
        for alias in node.names:
            if alias.name == "*":
                scope.update({name: self._names.in_module(module, name) for name in self._names.all_of(module)})
                continue
            value = self._names.in_module(module, alias.name)
            if isinstance(value, Unknown):
                self._note_unknown(node, f"{module}.{alias.name}")
                value = None
            scope[alias.asname or alias.name] = value

    def _functiondef(self, node: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope) -> None:
        for decorator in node.decorator_list:
            self._evaluate(decorator, scope)
        scope[node.name] = Function(node, scope, self)

    _asyncfunctiondef = _functiondef

    def _classdef(self, node: ast.ClassDef, scope: Scope) -> None:
        inner = dict(scope)
        self._statements(node.body, inner)
        methods = [value for name, value in inner.items() if isinstance(value, Function) and value.node in node.body]
        # what __init__ keeps in self is known in the other methods, which share these names
        for method in sorted(methods, key=lambda found: found.node.name != "__init__"):
            self.call_function(method, [], {}, shared=inner)

    def _assign(self, node: ast.Assign, scope: Scope) -> None:
        value = self._evaluate(node.value, scope)
        for target in node.targets:
            self._bind(target, value, scope)

    def _annassign(self, node: ast.AnnAssign, scope: Scope) -> None:
        value = self._evaluate(node.value, scope) if node.value else None
        self._bind(node.target, value or self._annotated(node.annotation, scope), scope)

    def _for(self, node: ast.For | ast.AsyncFor, scope: Scope) -> None:
        self._bind(node.target, element_of(self._evaluate(node.iter, scope)), scope)
        self._statements([*node.body, *node.orelse], scope)

    _asyncfor = _for

    def _with(self, node: ast.With | ast.AsyncWith, scope: Scope) -> None:
        for item in node.items:
            value = self._evaluate(item.context_expr, scope)
            if item.optional_vars is not None:
                self._bind(item.optional_vars, value, scope)
        self._statements(node.body, scope)

    _asyncwith = _with

    def _return(self, node: ast.Return, scope: Scope) -> None:
        if node.value is not None:
            self._returned.append(self._evaluate(node.value, scope))

    def _try(self, node: ast.Try, scope: Scope) -> None:
        self._statements(node.body, scope)
        for handler in node.handlers:
            if handler.type is not None:
                self._evaluate(handler.type, scope)
            self._statements(handler.body, scope)
        self._statements([*node.orelse, *node.finalbody], scope)

    # --- functions of the project -------------------------------------------------------------------------------------

    def call_function(
        self, function: Function, positional: list[Value], given: dict[str, Value], *, shared: Scope | None = None
    ) -> Value:
        """Read the function's body once, with what its first call gives it; returns what it returns."""
        node = function.node
        if node in self._read:
            return self._read[node]
        self._read[node] = None
        before, self._returned = self._returned, []
        scope = self._inside(function, positional, given, shared)
        self._statements(node.body, scope)
        self._uncalled(scope)
        self._read[node] = next((value for value in self._returned if value is not None), None)
        self._returned = before
        return self._read[node]

    def _inside(
        self, function: Function, positional: list[Value], given: dict[str, Value], shared: Scope | None
    ) -> Scope:
        arguments = function.node.args
        named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        passed = {**dict(zip([each.arg for each in named], positional, strict=False)), **given}
        scope = InnerScope(shared if shared is not None else function.scope, shares_self=shared is not None)
        for parameter in named:
            value = passed.get(parameter.arg)
            if value is None and parameter.annotation is not None:
                value = self._annotated(parameter.annotation, function.scope)
            if value is None and parameter.arg in USUAL:
                value = Instance(TypeName(USUAL[parameter.arg]))
            scope[parameter.arg] = value
        for statement in ast.walk(function.node):
            if isinstance(statement, ast.Global):
                scope.outer |= set(statement.names)
        return scope

    def _entry_script(self, tree: ast.Module) -> None:
        found = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
        if {"init", "run"} <= found.keys():
            run = found["run"]
            stars = run.args.vararg or run.args.kwarg
            note = "run() must name its parameters: *args and **kwargs are refused" if stars else "an entry script"
            self._note(run, "init() and run()", Status.DIFFERS if stars else Status.SAME, note)
