import { type Series } from "../../contract/history-store.ts";
import { type FieldKind } from "../../contract/schema.ts";
import { QmtlError } from "../../core/errors.ts";

/** A field of a line: what stands before its value. */
export interface IlpField {
  readonly name: string;
  readonly kind: FieldKind;
  /** `,name=`, and for an f64 the two bytes that announce a binary double. */
  readonly lead: Uint8Array;
}

/**
 * What all lines of one series share, encoded once: `table,node_id=…,definition_id=…,key=…,
 * interval=… seq=`, and the lead of each field.
 */
export class IlpSeries {
  readonly prefix: Uint8Array;
  readonly fields: readonly IlpField[];
  /** Bytes of a line, at most. */
  readonly lineBytesMax: number;

  private constructor(series: Series, table: string) {
    const symbols = [
      ["node_id", series.nodeId],
      ["definition_id", series.definitionId],
      ["key", series.key],
      ["interval", series.interval],
    ]
      .map(([name, value]) => `,${name}=${escapeIlp(value ?? "")}`)
      .join("");
    this.prefix = encoder.encode(`${table}${symbols} seq=`);
    this.fields = Object.entries(series.schema).map(([name, kind]) => ({
      name,
      kind,
      lead: encoder.encode(kind === "f64" ? `,${name}==\u0010` : `,${name}=`),
    }));
    const fieldBytes = this.fields.reduce((sum, { lead }) => sum + lead.length + numberBytesMax, 0);
    this.lineBytesMax = this.prefix.length + fieldBytes + 2 * numberBytesMax;
  }

  /**
   * Lines of `series` in `table`.
   *
   * @throws QmtlError ARGUMENT_INVALID if `table` is no name of letters, digits, `_`, `-` and inner dots.
   */
  static of(series: Series, table: string): IlpSeries {
    if (table.length > 127 || !tablePattern.test(table)) {
      throw new QmtlError(
        "ARGUMENT_INVALID",
        `Cannot write to the table "${table}": wanted a name of 1 to 127 letters, digits, "_", "-" and single inner dots`,
      );
    }
    return new IlpSeries(series, table);
  }
}

/** `text` as the value of a symbol: the characters that would end it get a backslash. */
export function escapeIlp(text: string): string {
  return text.replace(/[ ,=\n\r\\]/g, "\\$&");
}

const encoder = new TextEncoder();
const tablePattern = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/;
/** Sign, 16 digits, six zeros and two bytes of punctuation: more than any number takes. */
const numberBytesMax = 28;
