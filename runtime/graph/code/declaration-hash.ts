import { digest } from "../ids.ts";
import { type Form } from "./canonical-tree.ts";

/** Something that is hashed by its form and by what the form refers to. */
export class Declaration {
  /** For messages only. */
  readonly name: string;
  /** True for literal data: an array or an object without functions. */
  readonly isData: boolean;
  readonly #make: () => Form<Declaration>;
  #form: Form<Declaration> | undefined;

  constructor(name: string, isData: boolean, make: () => Form<Declaration>) {
    this.name = name;
    this.isData = isData;
    this.#make = make;
  }

  get form(): Form<Declaration> {
    this.#form ??= this.#make();
    return this.#form;
  }
}

/** Hashes that are known; a declaration does not change while the process lives. */
const hashes = new Map<Declaration, string>();

/**
 * Hash of what `root` means: its form with the hash of each declaration in its place.
 * Declarations that refer to each other in a circle are hashed together: each is the list of all
 * forms of the circle in the order of their first use, with their numbers in that list as
 * references, so that the hash depends neither on names nor on where the walk began.
 *
 * @throws QmtlError CODE_* if part of the meaning is not in the source.
 */
export function hashOf(root: Declaration, path: Declaration[]): string {
  const circles = new CircleFinder(path);
  circles.visit(root);
  return hashes.get(root) ?? "";
}

/** Tarjan's walk: finds declarations that refer to each other, inner ones first. */
class CircleFinder {
  readonly #path: Declaration[];
  readonly #order = new Map<Declaration, number>();
  readonly #open: Declaration[] = [];

  constructor(path: Declaration[]) {
    this.#path = path;
  }

  /** Lowest number of an open declaration that `declaration` leads to. */
  visit(declaration: Declaration): number {
    const number = this.#order.size;
    let lowest = number;
    this.#order.set(declaration, number);
    this.#open.push(declaration);
    this.#path.push(declaration);
    for (const next of declaration.form.references) {
      if (hashes.has(next)) continue;
      lowest = Math.min(lowest, this.#order.get(next) ?? this.visit(next));
    }
    this.#path.pop();
    if (lowest === number) hashCircle(this.#open.splice(this.#open.indexOf(declaration)));
    return lowest;
  }
}

function hashCircle(circle: readonly Declaration[]): void {
  const found = circle.map(
    (start) => [start, digest(`code ${textOfCircle(start, circle)}`)] as const,
  );
  for (const [declaration, hash] of found) hashes.set(declaration, hash);
}

function textOfCircle(start: Declaration, circle: readonly Declaration[]): string {
  const listed = [start];
  let text = "";
  for (const declaration of listed) {
    const { parts, references } = declaration.form;
    text += parts[0] ?? "";
    for (const [i, next] of references.entries()) {
      const known = circle.includes(next) ? undefined : hashes.get(next);
      if (known === undefined && !listed.includes(next)) listed.push(next);
      text += `<${known ?? listed.indexOf(next)}>${parts[i + 1] ?? ""}`;
    }
    text += "\n";
  }
  return text;
}
