import { QmtlError } from "../core/errors.ts";

/** A node's key and the key of each of its inputs. */
export interface JoinKey {
  readonly key: string;
  readonly inputKeys: readonly string[];
}

/**
 * The keys of a node over inputs that have `inputKeys` each.
 *
 *   J1  Inputs that share their keys meet key by key; the node's key is that key.
 *   J2  An input with one key meets every key of the others ("one benchmark, many symbols").
 *   J3  Where an input's key differs from another's, the node's key is all keys joined by `|`.
 *
 * @throws QmtlError JOIN_KEYS_MISMATCH if two inputs have several keys each and not the same ones.
 */
export function joinKeys(
  name: string,
  inputKeys: readonly (readonly string[])[],
): readonly JoinKey[] {
  const many = inputKeys.filter((keys) => keys.length !== 1);
  const wide = many[0] ?? inputKeys[0] ?? [];
  for (const keys of many) {
    if (keys.length !== wide.length || keys.some((key) => !wide.includes(key))) {
      throw new QmtlError(
        "JOIN_KEYS_MISMATCH",
        `Cannot join the inputs of "${name}": one has the keys ${wide.join(",")}, another ${keys.join(",")}, wanted the same keys or a single one`,
      );
    }
  }
  return wide.map((key) => {
    const own = inputKeys.map((keys) => (keys.length === 1 ? (keys[0] ?? key) : key));
    const isOneKey = own.every((inner) => inner === own[0]);
    return { key: isOneKey ? (own[0] ?? key) : own.join("|"), inputKeys: own };
  });
}
