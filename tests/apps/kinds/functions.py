"""Every kind of callable that Python has, by a name: each takes one text."""

import asyncio
import functools
import inspect
import operator
import time

import numpy as np


def plain(text):
    return f"plain {text}"


async def coroutine(text):
    await asyncio.sleep(0)
    return f"coroutine {text}"


def generator(text):
    for n in range(3):
        yield f"generator {text} {n}"


async def async_generator(text):
    for n in range(3):
        await asyncio.sleep(0)
        yield f"async generator {text} {n}"


def around_plain(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


def around_coroutine(function):
    @functools.wraps(function)
    async def wrapper(*args, **kwargs):
        result = function(*args, **kwargs)
        return await result if inspect.isawaitable(result) else result

    return wrapper


def around_generator(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        yield "first"
        result = function(*args, **kwargs)
        if inspect.isgenerator(result):
            yield from result
        else:
            yield result

    return wrapper


def around_async_generator(function):
    @functools.wraps(function)
    async def wrapper(*args, **kwargs):
        yield "first"
        result = function(*args, **kwargs)
        if inspect.isasyncgen(result):
            async for value in result:
                yield value
        else:
            yield await result if inspect.isawaitable(result) else result

    return wrapper


class Plain:
    def __call__(self, text):
        return plain(text)


class Coroutine:
    async def __call__(self, text):
        return await coroutine(text)


class Generator:
    def __call__(self, text):
        yield from generator(text)


class AsyncGenerator:
    async def __call__(self, text):
        async for value in async_generator(text):
            yield value


class Methods:
    def plain(self, text):
        return plain(text)

    async def coroutine(self, text):
        return await coroutine(text)

    def generator(self, text):
        yield from generator(text)

    async def async_generator(self, text):
        async for value in async_generator(text):
            yield value

    @classmethod
    def of_class(cls, text):
        return f"{cls.__name__} {text}"

    @classmethod
    async def coroutine_of_class(cls, text):
        return f"{cls.__name__} {text}"

    @staticmethod
    def static(text):
        return f"static {text}"

    @staticmethod
    def static_generator(text):
        yield from generator(text)

    @functools.cached_property
    def property(self):
        return lambda text: f"property {text}"


class Upper(str):
    __slots__ = ()

    def __new__(cls, text):
        return str.__new__(cls, text.upper())


@functools.singledispatch
def dispatched(text):
    return f"something {text}"


@dispatched.register
def _(text: str):
    return f"a text {text}"


def marked(text):
    """A plain function that says it is a coroutine function, as frameworks mark theirs: it gives one."""
    return coroutine(text)


if hasattr(inspect, "markcoroutinefunction"):
    inspect.markcoroutinefunction(marked)
else:
    marked._is_coroutine = asyncio.coroutines._is_coroutine


def with_attributes(text):
    return f"{text} {with_attributes.suffix}"


with_attributes.suffix = "with attributes"


def two(word, text):
    return f"{word} {text}"


async def two_later(word, text):
    return f"{word} {text}"


def two_by_two(word, text):
    yield from (word, text)


KINDS = (plain, coroutine, generator, async_generator)
DECORATORS = (around_plain, around_coroutine, around_generator, around_async_generator)
methods = Methods()

FUNCTIONS = {
    **{function.__name__: function for function in KINDS},
    **{f"{around.__name__}_{f.__name__}": around(f) for around in DECORATORS for f in KINDS},
    "thrice": around_coroutine(around_plain(around_coroutine(plain))),
    "thrice_generator": around_plain(around_plain(around_generator(plain))),
    **{f"partial_{function.__name__}": functools.partial(function) for function in KINDS},
    "partial_two": functools.partial(two, "given"),
    "partial_later": functools.partial(two_later, "given"),
    "partial_generator_of_two": functools.partial(two_by_two, "given"),
    "partial_of_partial": functools.partial(functools.partial(two, "twice")),
    "partial_of_around": functools.partial(around_coroutine(plain)),
    "around_partial": around_coroutine(functools.partial(two, "inner")),
    **{f"object_{kind.__name__}": kind() for kind in (Plain, Coroutine, Generator, AsyncGenerator)},
    "around_object": around_coroutine(Coroutine().__call__),
    **{
        f"method_{name}": getattr(methods, name)
        for name in (
            "plain",
            "coroutine",
            "generator",
            "async_generator",
            "of_class",
            "coroutine_of_class",
            "static",
            "static_generator",
            "property",
        )
    },
    "around_method": around_coroutine(methods.plain),
    "lambda": lambda text: f"lambda {text}",
    "lambda_coroutine": lambda text: coroutine(text),
    "lambda_generator": lambda text: (yield text),
    "builtin_len": len,
    "builtin_upper": str.upper,
    "builtin_bound": "{} by a method of a str".format,
    "builtin_item": operator.itemgetter(0),
    "builtin_ufunc": np.char.upper,
    "type_str": str,
    "type_own": Upper,
    "cached": functools.lru_cache(plain),
    "dispatched": dispatched,
    "marked": marked,
    "with_attributes": with_attributes,
    "sleeps": lambda text: time.sleep(0.05) or text,
}
