/** Attributes of a header that may name a person; never their values. */

import { elementOf, text } from "./attributes";
import { type Header, latin } from "./header";

// As in tfds_builders/common/dicom/identifiers.py, chosen from PS3.15, table E.1-1.
const DIRECT: [string, string][] = [
  ["PatientName", "x00100010"],
  ["PatientBirthDate", "x00100030"],
  ["PatientBirthName", "x00101005"],
  ["PatientMotherBirthName", "x00101060"],
  ["PatientAddress", "x00101040"],
  ["PatientTelephoneNumbers", "x00102154"],
  ["PatientTelecomInformation", "x00102155"],
  ["OtherPatientIDs", "x00101000"],
  ["OtherPatientIDsSequence", "x00101002"],
  ["OtherPatientNames", "x00101001"],
  ["MedicalRecordLocator", "x00101090"],
  ["ResponsiblePerson", "x00102297"],
  ["InsurancePlanIdentification", "x00101050"],
  ["AccessionNumber", "x00080050"],
  ["ReferringPhysicianName", "x00080090"],
  ["ReferringPhysicianAddress", "x00080092"],
  ["ReferringPhysicianTelephoneNumbers", "x00080094"],
  ["RequestingPhysician", "x00321032"],
  ["PerformingPhysicianName", "x00081050"],
  ["PhysiciansOfRecord", "x00081048"],
  ["NameOfPhysiciansReadingStudy", "x00081060"],
  ["OperatorsName", "x00081070"],
];
// Placeholders of de-identification; whole words, because Zanoni is a name.
const PLACEHOLDER =
  /(?<![a-z])(anon|de-?id|remov|redact|unknown|hidden|pseudo|synthetic|phantom|no\W?name|no\W?value|not\W|(none|null|test|patient|subject|name|doe|xxx+)(?![a-z]))|^n\/?a$/i;
// 1 January is how a year is written without the day.
const NO_DATE = /^(0*|1{8}|9{8}|\d{4}0101)$/;

/** The attributes of a header that seem to name a person, in a fixed order. A hint, not a proof. */
export function identifiers(header: Header): string[] {
  const patient = key(text(header, "PatientID"));
  const found = DIRECT.filter(([name, tag]) => isReal(name, value(header, tag), patient)).map(([name]) => name);
  for (const [name, says] of [["BurnedInAnnotation", "YES"], ["PatientIdentityRemoved", "NO"]] as const)
    if (elementOf(header, name) && text(header, name).toUpperCase() === says) found.push(name);
  return found;
}

function isReal(name: string, text: string, patient: string): boolean {
  if (name === "PatientBirthDate") return !NO_DATE.test(text.replace(/\D/g, ""));
  const found = key(text);
  return Boolean(found.replace(/^[0x]+/, "")) && found !== patient && !PLACEHOLDER.test(text);
}

function value(header: Header, tag: string): string {
  const element = header.elements[tag];
  if (!element) return "";
  if (element.items) return element.items.length ? `${element.items.length} items` : "";
  const bytes = header.bytes.subarray(element.dataOffset, element.dataOffset + element.length);
  return latin(bytes).replace(/^[\0 ]+|[\0 ]+$/g, "");
}

function key(text: string): string {
  return text.replace(/[^\p{L}\p{N}]/gu, "").toLowerCase();
}
