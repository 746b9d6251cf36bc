import "@mantine/dates/styles.layer.css";
import { Validator } from "@cfworker/json-schema";
import { ActionIcon, Button, Checkbox, TextInput } from "@mantine/core";
import { withTheme } from "@rjsf/core";
import { Theme } from "@rjsf/mantine";
import {
  ADDITIONAL_PROPERTY_FLAG,
  type ArrayFieldItemTemplateProps,
  type ArrayFieldTemplateProps,
  buttonId,
  canExpand,
  type DescriptionFieldProps,
  descriptionId,
  getTemplate,
  getUiOptions,
  type IconButtonProps,
  type MultiSchemaFieldTemplateProps,
  type ObjectFieldTemplateProps,
  type RJSFSchema,
  type TitleFieldProps,
  titleId,
  type ValidatorType,
  type WidgetProps,
  type WrapIfAdditionalTemplateProps,
} from "@rjsf/utils";
import { IconPlus, IconX } from "@tabler/icons-react";
import { type ComponentType, cloneElement, isValidElement, useMemo } from "react";
import { forForm } from "../lib/schema.ts";
import styles from "./form.module.css";
import type { FormProps } from "./form.tsx";
import { Seen } from "./seen.tsx";

/**
 * Tells which of several schemas a value is of, and nothing else: what is filled in is judged by the
 * program. It interprets schemas, since the policy of the page lets nothing be compiled in it.
 */
const validator: ValidatorType = {
  validateFormData: () => ({ errors: [], errorSchema: {} }),
  rawValidation: () => ({ errors: [] }),
  isValid: (schema, value, root) => {
    // Nothing is no value of any schema.
    if (value === undefined) return false;
    try {
      const whole = { ...schema, $defs: root.$defs, definitions: root.definitions };
      return new Validator(JSON.parse(JSON.stringify(whole)), "2020-12").validate(value).valid;
    } catch {
      return false;
    }
  },
};

// Those of the library lay things out by a `<style>` for each, which the policy of the page forbids.

function ObjectTemplate(props: ObjectFieldTemplateProps) {
  const { title, description, properties, optionalDataControl, registry, schema, uiSchema, formData } = props;
  const { fieldPathId, disabled, readonly, onAddProperty, required } = props;
  const { AddButton } = registry.templates.ButtonTemplates;
  const isRoot = fieldPathId.path.length === 0;
  const body = (
    <>
      {!isRoot && description ? (
        <p className={styles.description} id={descriptionId(fieldPathId)}>
          {description}
        </p>
      ) : null}
      {optionalDataControl}
      {properties.filter(it => !it.hidden).map(it => it.content)}
      {canExpand(schema, uiSchema, formData) ? (
        <AddButton
          id={buttonId(fieldPathId, "add")}
          disabled={disabled || readonly}
          onClick={onAddProperty}
          uiSchema={uiSchema}
          registry={registry}
        />
      ) : null}
    </>
  );
  if (isRoot) return <div className={styles.fields}>{body}</div>;
  return (
    <fieldset className={styles.group} id={fieldPathId.$id}>
      {title ? (
        <legend id={titleId(fieldPathId)}>
          <Seen text={title} />
          {required ? <Needed /> : null}
        </legend>
      ) : null}
      {body}
    </fieldset>
  );
}

function ArrayTemplate(props: ArrayFieldTemplateProps) {
  const { canAdd, disabled, fieldPathId, items, optionalDataControl, onAddClick, readonly, required } = props;
  const { schema, uiSchema, title, registry } = props;
  const { AddButton } = registry.templates.ButtonTemplates;
  const { description } = getUiOptions(uiSchema);
  const says = description || schema.description;
  return (
    <fieldset className={styles.group} id={fieldPathId.$id}>
      <legend>
        <Seen text={title || "List"} />
        {required ? <Needed /> : null}
      </legend>
      {says ? <p className={styles.description}>{says}</p> : null}
      {optionalDataControl}
      {items}
      {canAdd ? (
        <AddButton
          id={buttonId(fieldPathId, "add")}
          disabled={disabled || readonly}
          onClick={onAddClick}
          uiSchema={uiSchema}
          registry={registry}
        />
      ) : null}
    </fieldset>
  );
}

function ItemTemplate({
  buttonsProps,
  hasToolbar,
  registry,
  uiSchema,
  children,
}: ArrayFieldItemTemplateProps) {
  const Buttons = getTemplate("ArrayFieldItemButtonsTemplate", registry, getUiOptions(uiSchema));
  return (
    <div className={styles.item}>
      <div className={styles.field}>{children}</div>
      {hasToolbar ? (
        <div className={styles.buttons}>
          <Buttons {...buttonsProps} />
        </div>
      ) : null}
    </div>
  );
}

function Additional(props: WrapIfAdditionalTemplateProps) {
  const { id, label, required, readonly, disabled, schema, onKeyRenameBlur, onRemoveProperty, children } =
    props;
  if (!(ADDITIONAL_PROPERTY_FLAG in schema)) return <div className={styles.field}>{children}</div>;
  return (
    <div className={styles.item}>
      <TextInput
        key={label}
        className={styles.field ?? ""}
        label="Name"
        defaultValue={label}
        required={required ?? false}
        disabled={disabled || readonly || false}
        id={`${id}-key`}
        onBlur={onKeyRenameBlur}
      />
      <div className={styles.field}>{children}</div>
      <div className={styles.buttons}>
        <ActionIcon variant="subtle" color="gray" aria-label={`Remove ${label}`} onClick={onRemoveProperty}>
          <IconX size={16} />
        </ActionIcon>
      </div>
    </div>
  );
}

function TitleTemplate({ id, title, required }: TitleFieldProps) {
  return (
    <p className={styles.title} id={id}>
      <Seen text={title} />
      {required ? <Needed /> : null}
    </p>
  );
}

function DescriptionTemplate({ id, description }: DescriptionFieldProps) {
  return description ? (
    <p className={styles.description} id={id}>
      {description}
    </p>
  ) : null;
}

function AddButton({ id, onClick, disabled }: IconButtonProps) {
  return (
    <Button
      id={id ?? ""}
      variant="default"
      size="xs"
      leftSection={<IconPlus size={14} />}
      className={styles.add ?? ""}
      onClick={onClick}
      disabled={disabled ?? false}
    >
      Add
    </Button>
  );
}

function Needed() {
  return (
    <span className={styles.needed} aria-hidden>
      {" "}
      *
    </span>
  );
}

/** One of several schemas, and which. */
function Choice({ selector, optionSchemaField, schema }: MultiSchemaFieldTemplateProps) {
  return (
    <div className={styles.choice}>
      {isValidElement<WidgetProps>(selector)
        ? cloneElement(selector, { schema: { ...selector.props.schema, description: schema.description } })
        : selector}
      {optionSchemaField}
    </div>
  );
}

// Of the library's, these two say nothing of what the schema says about them, or in the wrong place.

function SelectOne(props: WidgetProps) {
  const { description } = props.schema;
  const Select = Theme.widgets?.SelectWidget as ComponentType<WidgetProps>;
  return <Select {...props} options={{ ...props.options, ...(description ? { description } : {}) }} />;
}

function YesOrNo({ id, value, label, schema, disabled, readonly, onChange }: WidgetProps) {
  return (
    <Checkbox
      id={id}
      label={label}
      description={schema.description}
      checked={value === true}
      disabled={disabled || readonly || false}
      onChange={event => onChange(event.currentTarget.checked)}
    />
  );
}

const Form = withTheme({
  ...Theme,
  widgets: { ...Theme.widgets, SelectWidget: SelectOne, CheckboxWidget: YesOrNo },
  templates: {
    ...Theme.templates,
    ObjectFieldTemplate: ObjectTemplate,
    ArrayFieldTemplate: ArrayTemplate,
    ArrayFieldItemTemplate: ItemTemplate,
    WrapIfAdditionalTemplate: Additional,
    TitleFieldTemplate: TitleTemplate,
    DescriptionFieldTemplate: DescriptionTemplate,
    MultiSchemaFieldTemplate: Choice,
    ButtonTemplates: { ...Theme.templates?.ButtonTemplates, AddButton },
  },
});

export default function Inner({ schema, value, onChange, prefix }: FormProps) {
  const made = useMemo(() => forForm(schema) as RJSFSchema, [schema]);
  // What must be there comes first, as the server has it in order.
  const look = useMemo(() => {
    const known = Object.keys(made.properties ?? {});
    const first = (made.required ?? []).filter(it => known.includes(it));
    return { "ui:submitButtonOptions": { norender: true }, "ui:order": [...new Set(first), "*"] };
  }, [made]);
  return (
    <Form
      tagName="div"
      schema={made}
      uiSchema={look}
      validator={validator}
      formData={value}
      onChange={({ formData }) => onChange(formData)}
      idPrefix={prefix}
      showErrorList={false}
      noHtml5Validate
      experimental_defaultFormStateBehavior={{
        emptyObjectFields: "populateRequiredDefaults",
        arrayMinItems: { populate: "never" },
        mergeDefaultsIntoFormData: "useFormDataIfPresent",
      }}
    />
  );
}
