# SPDX-License-Identifier: LGPL-2.1-or-later
# Changes that an edit must refuse
. "$LIB"
need_target nvfp4-comfy
need_target fp8-comfy
only_families
make_model in.safetensors
"$QCONV" --to nvfp4-comfy in.safetensors nvfp4.safetensors >/dev/null
"$QCONV" --to fp8-comfy in.safetensors fp8.safetensors >/dev/null
cp nvfp4.safetensors out.safetensors

plain_text ()
{
  LC_ALL=C tr -d '\377'
}

echo "texts that are none:"
run edit out.safetensors --set "$(printf 'a=\377')" | plain_text
run edit out.safetensors --remove "$(printf '\377')" | plain_text
run edit out.safetensors --metadata "$(printf 'a=\377')" | plain_text
run edit out.safetensors --metadata =a
run edit out.safetensors --metadata ''
run edit out.safetensors --metadata 'no such key'
run edit out.safetensors --metadata _quantization_metadata=mine --force
run edit out.safetensors --metadata _quantization_metadata
cmp nvfp4.safetensors out.safetensors && echo "as it was"
echo "values that nest:"
nested ()
{
  printf '%*s' "$1" '' | tr ' ' '['
  printf '%*s' "$1" '' | tr ' ' ']'
}
run edit out.safetensors --dry-run --force --set "a=$(nested 100)" | grep '^[$=]'
for depth in 1000 10000; do
  run edit out.safetensors --set "a=$(nested $depth)" | sed 's/a=.*/a=…/'
  run edit out.safetensors --add "a={\"b\":$(nested $depth)" | sed 's/a=.*/a=…/'
done
cmp nvfp4.safetensors out.safetensors && echo "as it was"
echo "what belongs to the whole file, or to conversions:"
run edit fp8.safetensors one.safetensors --only '[.]1$' -o full-precision-mm=off
run edit fp8.safetensors one.safetensors --keep '[.]1$' -o full-precision-mm=off
run edit out.safetensors --allow-nonfinite --set a=1
run --to fp8-comfy in.safetensors one.safetensors --full-precision-mm -o full-precision-mm=off
run --to fp8-comfy in.safetensors one.safetensors -o comfy.full-precision-mm=off --full-precision-mm
"$QCONV" --to fp8-comfy in.safetensors bare.safetensors -o full-precision-mm --input-scale 0.5 >/dev/null
strings -n 20 bare.safetensors | grep -c '"full_precision_matrix_mult": true'
echo "a folder is not edited in place:"
mkdir folder
cp nvfp4.safetensors folder/model.safetensors
run edit folder --set a=1
rm -r folder
echo "the mode stays, also of what --force replaces:"
chmod 640 out.safetensors
run edit out.safetensors --set a=1 --force >/dev/null
stat -c %a out.safetensors
run --to nvfp4-comfy --force in.safetensors out.safetensors >/dev/null
stat -c %a out.safetensors
echo "expressions that give up:"
make_model many.safetensors --prefix aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!
run --to nvfp4-comfy many.safetensors bad.safetensors --hp-filter '^(a+)+$|!' | sed 's/names of this file: .*/…/'
run --to nvfp4-comfy many.safetensors bad.safetensors --keep '^(a+)+$|!' | sed 's/names of this file: .*/…/'
rm many.safetensors
list
