/** The catalogue of the sample tenant acme, a burger shop. */
import { productsFrom, type SamplePromotion } from './catalogue.ts';

export const acmeProducts = productsFrom('acme', {
  burgers: `
Classic Burger|Beef, lettuce, tomato, pickles, house sauce|950|classic|kcal=720 grams=280 allergens=gluten,egg,milk
Cheeseburger|Beef, double cheddar, onions, mustard|1050|classic|kcal=830 grams=290 allergens=gluten,milk,mustard
Double Cheeseburger|Two patties, four slices of cheddar|1390|big|kcal=1180 grams=410 allergens=gluten,milk,mustard
Bacon Burger|Beef, crisp bacon, cheddar, barbecue sauce|1190||kcal=910 grams=310 allergens=gluten,milk
Blue Cheese Burger|Beef, blue cheese, caramelised onions|1250||kcal=890 grams=310 allergens=gluten,milk
Mushroom Swiss|Beef, mushrooms, Swiss cheese, thyme mayonnaise|1190||kcal=860 grams=320 allergens=gluten,milk,egg
Jalapeño Burger|Beef, pickled jalapeños, pepper jack|1150|spicy|kcal=840 grams=300 allergens=gluten,milk
Smokehouse Burger|Smoked brisket on beef, coleslaw|1450|big|kcal=1090 grams=390 allergens=gluten,egg,mustard
Smash Burger|Two thin patties with crisp edges|1090|classic|kcal=790 grams=270 allergens=gluten,milk
Breakfast Burger|Beef, fried egg, hash brown|1250|breakfast|kcal=980 grams=350 allergens=gluten,egg,milk
Truffle Burger|Beef, truffle mayonnaise, rocket, parmesan|1590|seasonal off|kcal=920 grams=310 allergens=gluten,egg,milk
Junior Burger|Small beef burger for children|690|children|kcal=450 grams=160 allergens=gluten,milk`,
  chicken: `
Crispy Chicken Burger|Buttermilk chicken, slaw, pickles|1090||kcal=810 grams=300 allergens=gluten,egg,milk
Hot Chicken Burger|Nashville style, very hot|1150|spicy|kcal=840 grams=300 allergens=gluten,egg,milk
Grilled Chicken Burger|Chicken breast, avocado, lime|1150|light|kcal=590 grams=290 allergens=gluten,egg
Chicken Tenders|Five pieces with a dip of your choice|890|sharing|kcal=640 pieces=5 allergens=gluten,milk
Buffalo Wings|Eight wings, hot sauce, blue cheese dip|990|spicy sharing|kcal=780 pieces=8 allergens=milk,celery
Barbecue Wings|Eight wings, smoky sauce|990|sharing|kcal=760 pieces=8 allergens=celery
Chicken Caesar Wrap|Chicken, romaine, parmesan, Caesar dressing|950||kcal=620 allergens=gluten,milk,fish,egg
Chicken Nuggets|Nine pieces|690|children|kcal=430 pieces=9 allergens=gluten`,
  plants: `
Garden Burger|Chickpea patty, tahini, tomato|950|vegan|kcal=610 grams=280 allergens=gluten,sesame
Beyond Classic|Pea protein patty, vegan cheese, pickles|1190|vegan|kcal=680 grams=280 allergens=gluten
Halloumi Burger|Grilled halloumi, roasted peppers, pesto|1090|vegetarian|kcal=740 grams=290 allergens=gluten,milk,nuts
Portobello Burger|Stuffed mushroom, spinach, feta|1050|vegetarian|kcal=560 grams=270 allergens=gluten,milk
Black Bean Burger|Black beans, corn, chipotle mayonnaise|990|vegan spicy|kcal=620 grams=290 allergens=gluten
Falafel Wrap|Falafel, hummus, pickled turnip|890|vegan|kcal=590 allergens=gluten,sesame
Veggie Nuggets|Nine pieces with sweet chilli|690|vegan children|kcal=390 pieces=9 allergens=gluten`,
  sides: `
French Fries|Twice fried, sea salt|390|vegan classic|kcal=380 grams=150
Large Fries|For two|550|vegan sharing|kcal=640 grams=260
Sweet Potato Fries|With a pinch of paprika|490|vegan|kcal=410 grams=150
Truffle Fries|Truffle oil, parmesan, chives|690|vegetarian|kcal=520 grams=170 allergens=milk
Cheese Fries|Under melted cheddar|590|vegetarian|kcal=610 grams=200 allergens=milk
Chili Cheese Fries|Beef chilli, cheddar, jalapeños|790|spicy|kcal=790 grams=280 allergens=milk
Onion Rings|Eight rings in beer batter|490|vegetarian|kcal=460 pieces=8 allergens=gluten
Coleslaw|Cabbage, carrots, light mayonnaise|350|vegetarian|kcal=190 grams=120 allergens=egg,mustard
Mac and Cheese|Three cheeses, crisp top|690|vegetarian|kcal=720 grams=250 allergens=gluten,milk
Corn on the Cob|Chipotle butter|450|vegetarian|kcal=240 allergens=milk
Mozzarella Sticks|Six pieces, marinara dip|650|vegetarian sharing|kcal=520 pieces=6 allergens=gluten,milk
Side Salad|Leaves, cucumber, radish|390|vegan light|kcal=90`,
  salads: `
Caesar Salad|Romaine, croutons, parmesan|890||kcal=480 allergens=gluten,milk,fish,egg
Cobb Salad|Chicken, egg, bacon, avocado, blue cheese|1190|light|kcal=620 allergens=milk,egg
Quinoa Bowl|Quinoa, edamame, beetroot, lime|1050|vegan light|kcal=510 allergens=soy`,
  sauces: `
Ketchup|Made here|50|vegan|grams=30
House Sauce|What everybody asks about|90|vegetarian|grams=30 allergens=egg,mustard
Garlic Mayonnaise|Plenty of garlic|90|vegetarian|grams=30 allergens=egg
Barbecue Sauce|Smoky and sweet|90|vegan|grams=30 allergens=celery
Hot Sauce|Fermented chillies|90|vegan spicy|grams=30
Vegan Mayonnaise|From chickpea water|90|vegan|grams=30 allergens=mustard`,
  desserts: `
Chocolate Brownie|Warm, with walnuts|490|vegetarian|kcal=430 allergens=gluten,egg,milk,nuts
New York Cheesecake|Baked, with berries|590|vegetarian|kcal=480 allergens=gluten,egg,milk
Apple Pie|With cinnamon|490|vegetarian|kcal=410 allergens=gluten,milk
Vanilla Milkshake|Real vanilla|550|vegetarian cold|kcal=560 ml=400 allergens=milk
Chocolate Milkshake|Dark chocolate|550|vegetarian cold|kcal=610 ml=400 allergens=milk
Strawberry Milkshake|When strawberries are in season|590|vegetarian cold seasonal off|kcal=540 ml=400 allergens=milk`,
  drinks: `
Cola|0.4 l|350|vegan|ml=400
Cola Zero|0.4 l|350|vegan|ml=400
Lemonade|Squeezed today|390|vegan|ml=400
Iced Tea|Black tea and peach|390|vegan|ml=400
Root Beer|From the barrel|390|vegan|ml=400
Craft Lager|0.33 l|450|vegan alcohol|ml=330 allergens=gluten`,
});

export const acmePromotions: SamplePromotion[] = [
  { code: 'BURGER15', kind: 'percent', value: 15, minimum: 0, active: true },
  { code: 'TAKE3', kind: 'amount', value: 300, minimum: 1_500, active: true },
];
