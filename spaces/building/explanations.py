"""Why a build failed, in a sentence with a fix to try, from what uv, pip, apt and compilers wrote."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

#: Only the end of a log has the reason; and its length must not decide how much is searched.
LINES, LINE_CHARACTERS = 200, 2000
#: What people write for a package, from the name they import or remember.
CONFUSED = {
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python-headless",
    "dotenv": "python-dotenv",
    "fitz": "pymupdf",
    "git": "gitpython",
    "jwt": "pyjwt",
    "opencv": "opencv-python-headless",
    "pil": "pillow",
    "pytorch": "torch",
    "serial": "pyserial",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
#: Names that a misspelt one is compared with.
USUAL = (
    "accelerate", "aiohttp", "altair", "bitsandbytes", "bokeh", "datasets", "diffusers", "einops",
    "faiss-cpu", "fastapi", "flask", "gradio", "gradio-client", "httpx", "huggingface-hub", "jax",
    "joblib", "keras", "langchain", "librosa", "lightgbm", "llama-cpp-python", "matplotlib", "networkx",
    "nltk", "numpy", "onnx", "onnxruntime", "openai", "openai-whisper", "opencv-python-headless",
    "pandas", "peft", "pillow", "plotly", "protobuf", "pydantic", "pydub", "requests", "safetensors",
    "scikit-image", "scikit-learn", "scipy", "seaborn", "sentence-transformers", "sentencepiece",
    "soundfile", "spaces", "spacy", "streamlit", "sympy", "tensorflow", "tiktoken", "timm", "tokenizers",
    "torch", "torchaudio", "torchvision", "tqdm", "transformers", "trl", "uvicorn", "xgboost",
)  # fmt: skip

_NAME = r"([A-Za-z0-9][\w.-]{0,80})"
_RULES = tuple(
    (re.compile(pattern, re.MULTILINE), sentence)
    for pattern, sentence in (
        (rf"Because {_NAME} was not found in the package registry", "There is no package {0}.{like}"),
        (rf"`{_NAME}` is often confused for `{_NAME}`", "Write {1} in requirements.txt, not {0}."),
        (
            rf"Python version \(([\d.]+)\) does not satisfy Python([<>=!~]+[\d.]+) and {_NAME}",
            "{2} needs Python {1}, and this Space has {0}. Name another `python_version` in README.md, or "
            "another release of {2}.",
        ),
        (
            rf"{_NAME}==\S+ has no wheels with a matching",
            "This release of {0} was not made for the Space's Python or machine. Name a newer one, or the "
            "`python_version` that it was made for in README.md.",
        ),
        (
            rf"there is no version of {_NAME}(==\S+)",
            "{0} has no release {1}. Name one that there is, or none for the newest.",
        ),
        (
            r"Couldn't parse requirement in `([\w.-]{1,80})`",
            "A line of {0} is no requirement; each is like `name==1.2`.",
        ),
        (
            r"No solution found when resolving",
            "Some requirements contradict each other, as the log says. Loosen one of them.",
        ),
        (
            r"fatal error: Python\.h",
            "A package has no wheel here and is compiled. Add python3-dev and build-essential to "
            "packages.txt.",
        ),
        (
            r"fatal error: ([\w./+-]{1,100}): No such file",
            "A package is compiled and lacks {0}. Add the Debian package that has this file to packages.txt.",
        ),
        (
            r"(?:command|execute|find|CMAKE_C\w*COMPILER)\W+(?:[\w-]*gcc|[\w-]*g\+\+|cc|c\+\+|clang|cmake|make)\b"
            r"|No such file or directory: '(?:[\w-]*gcc|cc|cmake|make)'|No CMAKE_C\w*_COMPILER",
            "A package has no wheel here and is compiled. Add build-essential and cmake to packages.txt, or "
            "name a release that has a wheel.",
        ),
        (
            rf"(?:Unable to locate package|Couldn't find any package by (?:glob|regex)) '?{_NAME}",
            "Debian has no package {0}. Correct packages.txt.",
        ),
        (
            rf"[Pp]ackage '?{_NAME}'? has no installation candidate",
            "Debian has no package {0}. Correct packages.txt.",
        ),
        (
            r"No space left on device|Disk quota exceeded",
            "The build ran out of disk. Install less, for example torch for the CPU only.",
        ),
        (
            r"^Killed\b|signal: 9|SIGKILL|exit (?:code|status):? 137|MemoryError|out of memory",
            "The build ran out of memory. Install a release with a wheel instead of compiling it.",
        ),
        (
            r"Could not resolve host: ([\w.-]{1,100})|Failed to resolve '([\w.-]{1,100})'",
            "The build cannot reach {0}. Builds reach what the platform's administrator allows.",
        ),
        (
            r"dns error|Network is unreachable|Temporary failure in name resolution|Failed to fetch: ",
            "The build could not download something. Try again; builds reach what the platform's "
            "administrator allows.",
        ),
    )
)  # fmt: skip


def explain(log: Iterable[str]) -> str:
    """A sentence or two with what to do; "" where the log shows nothing known."""
    text = "\n".join(line[:LINE_CHARACTERS] for line in list(log)[-LINES:])
    for pattern, sentence in _RULES:
        if found := pattern.search(text):
            words = [word for word in found.groups() if word] or [""]
            return sentence.format(*words, like=_like(words[0]))
    return ""


def package_of(module: str) -> str:
    """The package that has a module of this name, in words where it is not known by its own."""
    return CONFUSED.get(module.lower(), f"the package that has {module}")


def _like(name: str) -> str:
    known = CONFUSED.get(name.lower())
    close = [known] if known else difflib.get_close_matches(name.lower().replace("_", "-"), USUAL, 1, 0.75)
    return f" Did you mean {close[0]}?" if close else " Correct its name in requirements.txt."
